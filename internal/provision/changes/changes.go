// Package changes is how a plan reads: rows of what is created, changed, kept, taken away, or only to be known.
package changes

import (
	"fmt"
	"slices"
	"strings"
)

// Mark says what a row is.
type Mark string

// The marks of rows.
const (
	Create Mark = "+"
	Modify Mark = "~"
	Keep   Mark = "="
	Warn   Mark = "!" // to be known, not to be done
	Drop   Mark = "-"
)

// Change is a row of a plan. Its texts may hold names that others chose: make them harmless before they are shown.
type Change struct {
	Mark     Mark   `json:"mark"`
	Object   string `json:"object"`
	Property string `json:"property,omitempty"`
	Old      string `json:"old,omitempty"`
	New      string `json:"new,omitempty"`
	Note     string `json:"note,omitempty"`
	Drift    bool   `json:"drift,omitempty"` // it was as planned once, and somebody changed it
}

// Write prints rows, those of an object together.
func Write(out *strings.Builder, all []Change) {
	var objects []string
	for _, c := range all {
		if !slices.Contains(objects, c.Object) {
			objects = append(objects, c.Object)
		}
	}
	for _, object := range objects {
		rows := slices.DeleteFunc(slices.Clone(all), func(c Change) bool { return c.Object != object })
		writeObject(out, object, rows)
	}
}

func writeObject(out *strings.Builder, object string, rows []Change) {
	title := ""
	mark := markOf(rows)
	for _, c := range rows {
		if isTitle(c) && (c.Mark != Keep || mark == Keep) { // else there is something to do after all
			title = c.text()
		}
	}
	fmt.Fprintf(out, "%s %s%s\n", mark, oneLine(object), oneLine(title))
	for _, c := range rows {
		if isTitle(c) {
			continue
		}
		inner := "   "
		if c.Mark == Warn {
			inner = "  !"
		}
		text := c.text()
		if c.Property == "" {
			text = strings.TrimPrefix(text, ": ")
		}
		fmt.Fprintf(out, "%s %s%s\n", inner, oneLine(c.Property), oneLine(text))
	}
}

// oneLine keeps a name with line breaks from looking like rows of its own.
func oneLine(s string) string {
	return strings.NewReplacer("\n", "·", "\r", "·", "\t", " ").Replace(s)
}

// isTitle reports a row about the object as a whole.
func isTitle(c Change) bool { return c.Property == "" && c.Mark != Warn }

// markOf is what is done to an object in all.
func markOf(rows []Change) Mark {
	mark := Warn
	for _, c := range rows {
		switch {
		case c.Mark == Drop, c.Mark == Create && isTitle(c):
			return c.Mark
		case c.Mark == Create, c.Mark == Modify:
			mark = Modify
		case c.Mark == Keep && mark == Warn:
			mark = Keep
		}
	}
	return mark
}

// text is what a row says after its name.
func (c Change) text() string {
	var text string
	switch {
	case c.Old != "" && c.New != "":
		text = ": " + c.Old + " → " + c.New
	case c.New != "":
		text = ": " + c.New
	case c.Old != "":
		text = ": " + c.Old + " → nothing"
	case c.Mark == Keep:
		text = ": nothing to do"
	}
	if c.Note != "" {
		text += ": " + c.Note
	}
	if c.Drift {
		text += " (drift: changed since it was set up)"
	}
	return text
}

// Summary counts the objects to create, to change and to take away.
func Summary(all []Change) string {
	count := map[Mark]map[string]bool{Create: {}, Modify: {}, Drop: {}}
	for _, c := range all {
		if objects := count[c.Mark]; objects != nil {
			objects[c.Object] = true
		}
	}
	for object := range count[Create] {
		delete(count[Modify], object)
	}
	return fmt.Sprintf("%d to create, %d to change, %d to take away", len(count[Create]), len(count[Modify]), len(count[Drop]))
}

// Nothing says that there is nothing to do, and how much there is to look at.
func Nothing(all []Change) string {
	warned := map[string]bool{}
	for _, c := range all {
		if c.Mark == Warn {
			warned[c.Object] = true
		}
	}
	if len(warned) == 0 {
		return "nothing to do"
	}
	return fmt.Sprintf("nothing to do; %d to look at (!)", len(warned))
}
