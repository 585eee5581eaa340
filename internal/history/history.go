// Package history keeps conversations, each to the person who had it: in memory ([Memory]), or encrypted in a file
// ([Open]). It does not know what is in them.
//
// A person is tenant and object id. There is no way to ask for a conversation without saying whose it is, and none to
// list people.
package history

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/identity"
)

// Person is whose a conversation is.
type Person struct {
	Tenant identity.TenantID
	Object identity.ObjectID
}

func (p Person) valid() bool { return !p.Tenant.IsZero() && !p.Object.IsZero() }

// String returns "tid/oid".
func (p Person) String() string { return p.Tenant.String() + "/" + p.Object.String() }

// Item is a conversation as lists show it.
type Item struct {
	ID      string    `json:"id"` // at most 64 bytes
	Title   string    `json:"title"`
	Created time.Time `json:"created"`
	Updated time.Time `json:"-"` // to the second
}

// Store keeps conversations. It is safe for concurrent use.
//
// Errors: [ErrNone] where the person has no such conversation, [ErrFull] where one more or a larger one would be too
// much for the person; any other error means that the store cannot be read or written.
type Store interface {
	// List returns a person's conversations, the last changed first.
	List(p Person) ([]Item, error)
	// Load returns a conversation.
	Load(p Person, id string) (Item, []byte, error)
	// Save keeps a conversation, in place of what was there under its id.
	Save(p Person, item Item, body []byte) error
	// Delete forgets a conversation; one that is not there is no error.
	Delete(p Person, id string) error
	// Clear forgets all conversations of a person and returns how many these were.
	Clear(p Person) (int, error)
	// Sweep forgets what was changed last before that time, whoever's it is, and returns how many conversations that were.
	Sweep(before time.Time) (int, error)
	// Close ends the store.
	Close() error
}

var (
	// ErrNone says that the person has no such conversation. Somebody else may: that is not told.
	ErrNone = errors.New("history: no such conversation")
	// ErrFull says that the person has as much as a person may have.
	ErrFull = errors.New("history: full")
)

// Bounds of what one person may keep.
const (
	MaxItems = 500      // conversations
	MaxBody  = 8 << 20  // bytes of one
	MaxBytes = 64 << 20 // bytes of all
	maxID    = 64
	maxTitle = 512
)

func check(p Person, item Item, body []byte) error {
	switch {
	case !p.valid():
		return errors.New("history: whose conversation it is was not said")
	case item.ID == "" || len(item.ID) > maxID:
		return errors.New("history: an id has 1 to 64 bytes")
	case len(item.Title) > maxTitle:
		return errors.New("history: the title is too long")
	case len(body) > MaxBody:
		return ErrFull
	}
	return nil
}

func newestFirst(items []Item) {
	slices.SortFunc(items, func(a, b Item) int {
		if c := b.Updated.Compare(a.Updated); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
}
