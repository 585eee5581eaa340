// Command onbehalf is everything: server, client, set-up, and the local stand-ins.
package main

func main() {}
