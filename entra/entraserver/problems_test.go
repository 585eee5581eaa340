package entraserver

import (
	"strings"
	"testing"

	"github.com/onbehalf/onbehalf/entra"
)

// What the catalogue says that people see is what this server sends, where it sends that code.
func TestMessagesBeginAsTheCatalogueSays(t *testing.T) {
	for number, r := range refusals {
		known := entra.SeenAs(number)
		if known == "" {
			t.Errorf("AADSTS%d is not in the catalogue", number)
			continue
		}
		if !strings.Contains(known, " ") {
			continue // a name in the sign-in logs
		}
		rest := plain(r.text)
		for part := range strings.SplitSeq(plain(known), "…") {
			_, after, found := strings.Cut(rest, strings.TrimSpace(part))
			if !found {
				t.Errorf("AADSTS%d: %q is not seen as %q", number, r.text, known)
				break
			}
			rest = after
		}
	}
}

// plain leaves out what differs between texts of different years.
func plain(s string) string { return strings.NewReplacer("isn't", "is not", "’", "'").Replace(s) }
