package history

import (
	"strings"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/identity"
)

// FuzzItem opens anything as what the file says of a conversation.
func FuzzItem(f *testing.F) {
	key := []byte("0123456789abcdef")
	v := newKeys(identity.NewSecret(strings.Repeat("k", minSecret)), []byte("salt")).vault(Person{})
	sealed, err := v.sealItem(key, Item{ID: "1", Title: "Budget", Updated: time.Unix(1, 0)}, 7)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add(sealed[:plainItem])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, value []byte) {
		if item, err := v.openItem(key, value); err == nil && item.Title != "Budget" {
			t.Errorf("%q opens as %+v", value, item)
		}
	})
}
