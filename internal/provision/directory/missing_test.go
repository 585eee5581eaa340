package directory_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/entra/entraserver"
	"github.com/onbehalf/onbehalf/entra/entratest"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/graph"
	"github.com/onbehalf/onbehalf/internal/provision/directory"
)

// strange are ids of no group.
func strange(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%08d-0000-4000-8000-00000000cccc", i)
	}
	return ids
}

// The local Entra's own Graph, by every right that suffices, and by none.
func TestMissing(t *testing.T) {
	t.Parallel()
	local := entratest.Start(t, nil)
	now := time.Now().Unix()
	as := func(scopes string) *directory.Directory {
		token := local.Sign(nil, map[string]any{"aud": entra.GraphAppID, "oid": entraserver.Alice, "scp": scopes, "exp": now + 3600, "nbf": now - 60, "iat": now})
		return directory.New(directory.Source{Name: scopes, Open: func(context.Context) (*graph.Client, error) {
			return graph.New(graph.Config{Endpoint: local.URL, HTTPClient: local.Client(), Token: func(context.Context) (identity.Secret, error) { return token, nil }})
		}})
	}
	for _, test := range []struct {
		scopes string
		asked  int
	}{{"Directory.Read.All", 2}, {"Directory.Read.All", 2500}, {"GroupMember.Read.All", 2}, {"GroupMember.Read.All", 2500}} {
		ids := slices.Concat([]string{entraserver.Engineering}, strange(test.asked), []string{entraserver.Board, entraserver.Alice})
		missing, looked, err := as(test.scopes).Missing(t.Context(), ids)
		if err != nil || looked != len(ids) || len(missing) != test.asked+1 || !slices.Contains(missing, entraserver.Alice) {
			t.Errorf("%s, %d: %d of %d are missing, %d looked up, %v", test.scopes, test.asked, len(missing), len(ids), looked, err)
		}
	}
	if _, looked, err := as("User.Read").Missing(t.Context(), strange(2)); !errors.Is(err, directory.ErrUnasked) || looked != 0 {
		t.Errorf("without a right: %d looked up, %v", looked, err)
	}
	if missing, looked, err := as("User.Read").Missing(t.Context(), nil); err != nil || looked != 0 || missing != nil {
		t.Errorf("nothing to ask for: %v", err)
	}
}

// large is a Graph with more groups than are listed: those whose id ends with "d". It takes busy requests before it
// answers 429 for ever, or passing ones with it.
type large struct {
	mu             sync.Mutex
	requests, busy int // of filters; busy 0 never
	passing        bool
	most           int // ids in one filter
}

func (l *large) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	filter := r.URL.Query().Get("$filter")
	switch {
	case r.Method == http.MethodPost:
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"error":{"code":"Authorization_RequestDenied"}}`))
		return
	case r.URL.Query().Get("$count") == "true":
		_, _ = w.Write([]byte(`{"@odata.count":200000,"value":[]}`))
		return
	case filter == "":
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	if l.requests++; l.busy > 0 && l.requests > l.busy {
		if l.passing {
			l.requests = 0
		}
		w.Header().Set("Retry-After", map[bool]string{true: "1", false: "60"}[l.passing])
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	ids := strings.Split(strings.Trim(strings.TrimPrefix(filter, "id in "), "()"), ",")
	l.most = max(l.most, len(ids))
	found := []map[string]string{}
	for _, id := range ids {
		if id = strings.Trim(id, "'"); strings.HasSuffix(id, "d") {
			found = append(found, map[string]string{"id": strings.ToUpper(id)})
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"value": found})
}

func TestMissingInALargeDirectory(t *testing.T) {
	t.Parallel()
	const asked = 5000
	var ids []string
	for i, id := range strange(asked) {
		if i%2 == 0 {
			id = id[:35] + "d"
		}
		ids = append(ids, id)
	}
	for _, test := range []struct {
		desc  string
		graph *large
		whole bool
	}{
		{"answers", &large{}, true},
		{"asks to wait a second", &large{busy: 200, passing: true}, true},
		{"asks to wait a minute", &large{busy: 200}, false},
	} {
		t.Run(test.desc, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewTLSServer(test.graph)
			t.Cleanup(server.Close)
			d := directory.New(directory.Source{Name: "x", Open: func(context.Context) (*graph.Client, error) {
				return graph.New(graph.Config{Endpoint: server.URL, HTTPClient: server.Client(), Token: func(context.Context) (identity.Secret, error) { return identity.NewSecret("t"), nil }})
			}})
			missing, looked, err := d.Missing(t.Context(), ids)
			if test.whole != (err == nil) || test.whole != (looked == asked) || len(missing) != looked/2 || looked == 0 || test.graph.most > 15 {
				t.Errorf("%d of %d missing, %v; at most %d ids a request", len(missing), looked, err, test.graph.most)
			}
			for _, id := range missing {
				if strings.HasSuffix(id, "d") {
					t.Fatalf("%s counts as missing", id)
				}
			}
		})
	}
}
