package local

import (
	"context"
	"net"
	"net/http"
	"testing"

	"github.com/onbehalf/onbehalf/identity"
)

// When all signing keys are replaced, the search service's own token for Graph is good no longer: it gets another one.
func TestGroupsAfterAllKeysWereReplaced(t *testing.T) {
	var listeners [2]net.Listener
	for i := range listeners {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		listeners[i] = l
	}
	l, err := New(t.Context(), Config{Entra: listeners[0], Search: listeners[1]})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	config, err := l.EntraTLS()
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: l.EntraHandler(), TLSConfig: config}
	go func() { _ = server.ServeTLS(listeners[0], "", "") }()
	t.Cleanup(func() { _ = server.Shutdown(context.WithoutCancel(t.Context())) })

	alice, err := identity.ParseObjectID("a11ce000-0000-4000-8000-00000000000a")
	if err != nil {
		t.Fatal(err)
	}
	groups, err := l.groups()
	if err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"at first", "afterwards"} {
		got, err := groups(t.Context(), alice.String())
		if err != nil || len(got) != 2 {
			t.Fatalf("%s: %v, %v", when, got, err)
		}
		if err = l.Entra().RotateKeys(true); err != nil {
			t.Fatal(err)
		}
	}
}
