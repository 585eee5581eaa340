package directory_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/graph"
	"github.com/onbehalf/onbehalf/internal/provision/directory"
)

const (
	alice       = "a11ce000-0000-4000-8000-00000000000a"
	bob         = "b0b00000-0000-4000-8000-00000000000b"
	engineering = "9e000000-0000-4000-8000-0000000000e1"
)

// fake is a Graph that lets each token do something else.
type fake struct {
	*httptest.Server

	mu    sync.Mutex
	calls map[string]int // by token and path
}

func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{calls: map[string]int{}}
	f.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		f.mu.Lock()
		f.calls[token+" "+r.URL.Path]++
		f.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		switch {
		case token == "nobody", token == "me" && !strings.HasPrefix(r.URL.Path, "/v1.0/me"):
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"error":{"code":"Authorization_RequestDenied","message":"Insufficient privileges"}}`))
		case r.URL.Path == "/v1.0/me/getMemberGroups":
			_, _ = w.Write([]byte(`{"value":["` + engineering + `"]}`))
		case r.URL.Path == "/v1.0/users/"+bob+"/getMemberGroups":
			_, _ = w.Write([]byte(`{"value":[]}`))
		case r.URL.Path == "/v1.0/groups/"+engineering:
			_, _ = w.Write([]byte(`{"id":"` + engineering + `","displayName":"engineering"}`))
		case r.URL.Path == "/v1.0/groups" && strings.Contains(r.URL.RawQuery, "twice"):
			_, _ = w.Write([]byte(`{"value":[{"id":"1"},{"id":"2"}]}`))
		case r.URL.Path == "/v1.0/groups" && strings.Contains(r.URL.RawQuery, "O%27%27Neill"):
			_, _ = w.Write([]byte(`{"value":[{"id":"` + engineering + `","displayName":"O'Neill"}]}`))
		case r.URL.Path == "/v1.0/groups":
			_, _ = w.Write([]byte(`{"value":[]}`))
		default:
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"error":{"code":"Request_ResourceNotFound","message":"not there"}}`))
		}
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *fake) count(call string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[call]
}

func (f *fake) source(name string, self identity.ObjectID) directory.Source {
	return directory.Source{Name: name, Self: self, Open: func(context.Context) (*graph.Client, error) {
		return graph.New(graph.Config{Endpoint: f.URL, HTTPClient: f.Client(), Token: func(context.Context) (identity.Secret, error) {
			return identity.NewSecret(name), nil
		}})
	}}
}

func object(t *testing.T, id string) identity.ObjectID {
	t.Helper()
	o, err := identity.ParseObjectID(id)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Whoever may answers; whoever may not is asked once.
func TestSourcesAreTriedInTurn(t *testing.T) {
	f := newFake(t)
	opened := 0
	broken := directory.Source{Name: "broken", Open: func(context.Context) (*graph.Client, error) {
		opened++
		return nil, errors.New("no such credential")
	}}
	d := directory.New(broken, f.source("nobody", identity.ObjectID{}), f.source("admin", identity.ObjectID{}))
	for range 3 {
		if group, err := d.Group(t.Context(), engineering); err != nil || group.DisplayName != "engineering" {
			t.Fatalf("group %+v, %v", group, err)
		}
	}
	if opened != 1 || f.count("nobody /v1.0/groups/"+engineering) != 1 || f.count("admin /v1.0/groups/"+engineering) != 3 {
		t.Errorf("opened %d times, calls %v", opened, f.calls)
	}
	// That something is not there is an answer, and no reason to ask somebody else.
	if _, err := d.Group(t.Context(), bob); !errors.Is(err, graph.ErrNotFound) || errors.Is(err, directory.ErrUnasked) {
		t.Errorf("a group that is not there: %v", err)
	}
	if refused := d.Refused(); !strings.Contains(refused, "nobody (group): microsoft graph: Authorization_RequestDenied (HTTP 403)") {
		t.Errorf("refused: %s", refused)
	}
}

// That nobody could ask is not the same as that something does not exist.
func TestNobodyMayAsk(t *testing.T) {
	f := newFake(t)
	for desc, d := range map[string]*directory.Directory{
		"no source": directory.New(), "a refused one": directory.New(f.source("nobody", identity.ObjectID{})),
	} {
		_, err := d.Person(t.Context(), bob)
		if !errors.Is(err, directory.ErrUnasked) || errors.Is(err, graph.ErrNotFound) {
			t.Errorf("%s: %v", desc, err)
		}
		if entry := d.NameOfPerson(t.Context(), bob); entry.Known || entry.Name != "" {
			t.Errorf("%s: %+v", desc, entry)
		}
	}
}

// A person may always ask for her own groups, and for nobody else's.
func TestOwnGroups(t *testing.T) {
	f := newFake(t)
	d := directory.New(f.source("nobody", identity.ObjectID{}), f.source("me", object(t, alice)))
	groups, err := d.Groups(t.Context(), object(t, alice))
	if err != nil || len(groups) != 1 || groups[0] != engineering {
		t.Errorf("own groups %v, %v", groups, err)
	}
	if _, err = d.Groups(t.Context(), object(t, bob)); !errors.Is(err, directory.ErrUnasked) {
		t.Errorf("another's groups: %v", err)
	}
	d = directory.New(f.source("me", object(t, alice)), f.source("admin", identity.ObjectID{}))
	if groups, err = d.Groups(t.Context(), object(t, bob)); err != nil || len(groups) != 0 {
		t.Errorf("another's groups, as an administrator: %v, %v", groups, err)
	}
}

func TestGroupNames(t *testing.T) {
	f := newFake(t)
	d := directory.New(f.source("admin", identity.ObjectID{}))
	if id, err := d.GroupByName(t.Context(), "O'Neill"); err != nil || id != engineering {
		t.Errorf("a name with a quote: %q, %v", id, err)
	}
	if _, err := d.GroupByName(t.Context(), "gone"); !errors.Is(err, graph.ErrNotFound) {
		t.Errorf("no such name: %v", err)
	}
	if _, err := d.GroupByName(t.Context(), "twice"); err == nil || !strings.Contains(err.Error(), "2 groups have this name") {
		t.Errorf("two of a name: %v", err)
	}
	for range 2 {
		if entry := d.NameOfGroup(t.Context(), engineering); entry.Name != "engineering" || !entry.Known {
			t.Errorf("entry %+v", entry)
		}
	}
	if n := f.count("admin /v1.0/groups/" + engineering); n != 1 {
		t.Errorf("asked %d times for one name", n)
	}
}
