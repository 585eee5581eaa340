package cli_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/internal/localhost"
)

// fakeARM is a program: "fakearm CAFILE" answers as an Azure Resource Manager with one search service, and prints where.
// It knows the token "owner", which may do all, and "reader", which may look. What it answers is written from Microsoft's
// examples; package searchservice has the thorough tests.
func fakeARM() {
	const service = "/subscriptions/50b50000-0000-4000-8000-000000000001/resourceGroups/rg/providers/Microsoft.Search/searchServices/contoso"
	auth, roles := json.RawMessage(`{"apiKeyOnly":{}}`), []any{}
	shown := func() any {
		return map[string]any{"id": service, "name": "contoso", "properties": map[string]any{"endpoint": "https://contoso.search.windows.net/", "authOptions": auth}}
	}
	mux := http.NewServeMux()
	handle := func(pattern string, answer func(r *http.Request) any) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if token := r.Header.Get("Authorization"); token != "Bearer owner" && (token != "Bearer reader" || r.Method != http.MethodGet) {
				w.WriteHeader(http.StatusForbidden)
				_, _ = w.Write([]byte(`{"error":{"code":"AuthorizationFailed","message":"no \u001b[31mright"}}`))
				return
			}
			_ = json.NewEncoder(w).Encode(answer(r))
		})
	}
	list := func(items ...any) any { return map[string]any{"value": items} }
	handle("GET /subscriptions", func(*http.Request) any {
		return list(map[string]any{"subscriptionId": strings.Split(service, "/")[2]})
	})
	handle("GET /subscriptions/{sub}/providers/Microsoft.Search/searchServices", func(*http.Request) any { return list(shown()) })
	handle("GET "+service, func(*http.Request) any { return shown() })
	handle("PATCH "+service, func(r *http.Request) any {
		var body struct {
			Properties struct{ AuthOptions json.RawMessage }
		}
		if json.NewDecoder(r.Body).Decode(&body) == nil {
			auth = body.Properties.AuthOptions
		}
		return shown()
	})
	const assignments = service + "/providers/Microsoft.Authorization/roleAssignments"
	handle("GET "+assignments, func(*http.Request) any { return list(roles...) })
	handle("PUT "+assignments+"/{name}", func(r *http.Request) any {
		var made map[string]map[string]any
		if json.NewDecoder(r.Body).Decode(&made) == nil {
			made["properties"]["scope"] = service
			roles = append(roles, made)
		}
		return made
	})
	ca, err := localhost.NewCA(time.Now())
	must(err)
	tls, err := ca.ServerTLS()
	must(err)
	must(os.WriteFile(os.Args[1], ca.PEM(), 0o600))
	listener, err := net.Listen("tcp", os.Args[2])
	must(err)
	server := &http.Server{Handler: mux, TLSConfig: tls, ReadHeaderTimeout: time.Minute}
	fmt.Println("ready")
	must(server.ServeTLS(listener, "", ""))
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
