package shell

import (
	"os"

	"golang.org/x/term"
)

// Width returns how many columns the terminal has at which the output is read; 0 where it goes elsewhere.
func (s *Shell) Width() int {
	file, ok := s.Out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return 0
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil || width < leastWidth {
		return 0
	}
	return width
}

// Colour reports whether the output is read at a terminal that shows colours, by somebody who wants them.
//
// https://no-color.org
func (s *Shell) Colour() bool {
	file, ok := s.Out.(*os.File)
	unwanted, _ := s.Environ("NO_COLOR")
	name, _ := s.Environ("TERM")
	return ok && term.IsTerminal(int(file.Fd())) && unwanted == "" && name != "dumb"
}
