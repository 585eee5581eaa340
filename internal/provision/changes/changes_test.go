package changes_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/internal/provision/changes"
)

func TestWrite(t *testing.T) {
	t.Parallel()
	all := []changes.Change{
		{Mark: changes.Create, Object: "API"},
		{Mark: changes.Create, Object: "API", Property: "scope", New: "execute"},
		{Mark: changes.Modify, Object: "client", Property: "flows", Old: "false", New: "true", Drift: true},
		{Mark: changes.Warn, Object: "client", Note: "redirect URI x"},
		{Mark: changes.Keep, Object: "consent"},
		{Mark: changes.Keep, Object: "secret", Note: "until 2027"},
		{Mark: changes.Warn, Object: "secret", Note: "another one"},
		{Mark: changes.Warn, Object: "stran\n= ger", Note: "who\nis that"},
		{Mark: changes.Create, Object: "agent", Property: "service principal"},
		{Mark: changes.Drop, Object: "old", Note: "gone"},
		{Mark: changes.Modify, Object: "role", Property: "x", Old: "a"},
	}
	var out strings.Builder
	changes.Write(&out, all)
	want := `+ API
    scope: execute
~ client
    flows: false → true (drift: changed since it was set up)
  ! redirect URI x
= consent: nothing to do
= secret: nothing to do: until 2027
  ! another one
! stran·= ger
  ! who·is that
~ agent
    service principal
- old: gone
~ role
    x: a → nothing
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	if got, want := changes.Summary(all), "2 to create, 2 to change, 1 to take away"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := changes.Nothing(all), "nothing to do; 3 to look at (!)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
