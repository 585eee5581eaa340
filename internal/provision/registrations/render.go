package registrations

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Write prints a plan for people: printable makes foreign names harmless.
func (p *Plan) Write(w io.Writer, printable func(string) string) error {
	var out strings.Builder
	fmt.Fprintf(&out, "tenant %s (%s)\n\n", p.Tenant.DisplayName, p.Tenant.ID)
	var objects []string
	for _, c := range p.Changes {
		if !slices.Contains(objects, c.Object) {
			objects = append(objects, c.Object)
		}
	}
	for _, object := range objects {
		writeObject(&out, object, p.Changes)
	}
	fmt.Fprintf(&out, "\n%s\n", p.summary())
	_, err := io.WriteString(w, printable(out.String()))
	return err
}

func writeObject(out *strings.Builder, object string, all []Change) {
	mark, note := Keep, ""
	var rows []Change
	for _, c := range all {
		switch {
		case c.Object != object:
			continue
		case c.Property == "" && c.Mark != Warn:
			note = rowText(c)
		default:
			rows = append(rows, c)
		}
		if c.Mark == Create && (c.Property == "" || mark == Keep && c.Property != "") && mark != Create {
			mark = map[bool]Mark{true: Create, false: Modify}[c.Property == ""]
		}
		if c.Mark == Modify && mark == Keep {
			mark = Modify
		}
		if c.Mark == Drop || c.Mark == Warn && mark == Keep {
			mark = c.Mark
		}
	}
	fmt.Fprintf(out, "%s %s%s\n", mark, object, note)
	for _, c := range rows {
		inner := "   "
		if c.Mark == Warn {
			inner = "  !"
		}
		fmt.Fprintf(out, "%s %s\n", inner, strings.TrimSpace(cmp.Or(c.Property, "")+rowText(c)))
	}
}

// rowText is what a row says after its name.
func rowText(c Change) string {
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
	if c.Property == "" && c.Mark == Warn {
		text = strings.TrimPrefix(text, ": ")
	}
	return text
}

func (p *Plan) summary() string {
	count := map[Mark]map[string]bool{}
	for _, c := range p.Changes {
		if count[c.Mark] == nil {
			count[c.Mark] = map[string]bool{}
		}
		count[c.Mark][c.Object] = true
	}
	if p.Empty() {
		text := "nothing to do"
		if n := len(count[Warn]); n > 0 {
			text += fmt.Sprintf("; %d to look at (!)", n)
		}
		return text
	}
	for object := range count[Create] {
		delete(count[Modify], object)
	}
	return fmt.Sprintf("%d to create, %d to change, %d to take away; %d calls of Microsoft Graph", len(count[Create]), len(count[Modify]), len(count[Drop]), len(p.Steps))
}

// Call is a step as JSON shows it.
type Call struct {
	Do     string `json:"do"`
	Method string `json:"method"`
	Path   string `json:"path"`
	Body   any    `json:"body,omitempty"`
}

// Output is a plan as JSON. References stand in braces: {api_app}.
type Output struct {
	Tenant  string   `json:"tenant"`
	Empty   bool     `json:"empty"`
	Changes []Change `json:"changes"`
	Calls   []Call   `json:"calls"`
}

// Output shows a plan as JSON.
func (p *Plan) Output() Output {
	out := Output{Tenant: p.Tenant.ID, Empty: p.Empty(), Changes: append([]Change{}, p.Changes...), Calls: []Call{}}
	for _, s := range p.Steps {
		out.Calls = append(out.Calls, Call{show(s.Do), s.Method, "/v1.0" + show(s.Path), shown(s.Body)})
	}
	return out
}

func shown(body any) any {
	switch v := body.(type) {
	case string:
		return show(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = shown(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for name := range v {
			out[name] = shown(v[name])
		}
		return out
	}
	return body
}
