// Command onbehalf-server is what goes to production: it links no stand-in and no set-up code.
package main

func main() {}
