package registrations

import (
	"fmt"
	"io"
	"strings"

	"github.com/onbehalf/onbehalf/internal/provision/changes"
	"github.com/onbehalf/onbehalf/internal/provision/graphcalls"
)

// Write prints a plan for people: printable makes foreign names harmless.
func (p *Plan) Write(w io.Writer, printable func(string) string) error {
	var out strings.Builder
	fmt.Fprintf(&out, "tenant %s (%s)\n\n", p.Tenant.DisplayName, p.Tenant.ID)
	changes.Write(&out, p.Changes)
	if p.Empty() {
		fmt.Fprintf(&out, "\n%s\n", changes.Nothing(p.Changes))
	} else {
		fmt.Fprintf(&out, "\n%s; %d calls of Microsoft Graph\n", changes.Summary(p.Changes), len(p.Steps))
	}
	_, err := io.WriteString(w, printable(out.String()))
	return err
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
	Tenant  string           `json:"tenant"`
	Empty   bool             `json:"empty"`
	Changes []changes.Change `json:"changes"`
	Calls   []Call           `json:"calls"`
}

// Output shows a plan as JSON.
func (p *Plan) Output() Output {
	out := Output{Tenant: p.Tenant.ID, Empty: p.Empty(), Changes: append([]changes.Change{}, p.Changes...), Calls: []Call{}}
	for _, s := range p.Steps {
		out.Calls = append(out.Calls, Call{graphcalls.Show(s.Do), s.Method, "/v1.0" + graphcalls.Show(s.Path), graphcalls.ShowBody(s.Body)})
	}
	return out
}
