// Package cli is the command line: it alone reads the environment, the settings files and the clock, and turns them
// into the arguments of the other packages.
package cli
