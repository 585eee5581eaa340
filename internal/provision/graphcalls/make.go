package graphcalls

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/graph"
)

// Pause waits, or ends with its context's error.
type Pause func(ctx context.Context, d time.Duration) error

// Maker makes calls.
type Maker struct {
	Graph *graph.Client
	Pause Pause // before a call is made again
}

// Known is what calls have learned.
type Known struct {
	IDs     map[string]string
	Secrets map[string]identity.Secret
}

// Get returns an id, or a secret's text; "" where neither is known.
func (k Known) Get(name string) string {
	if id := k.IDs[name]; id != "" {
		return id
	}
	return k.Secrets[name].Reveal()
}

// patience are the waits for what was just made: half a minute in all.
//
// https://learn.microsoft.com/graph/best-practices-concept, and the experience of every set-up program
func patience() []time.Duration {
	const ms = time.Millisecond
	return []time.Duration{100 * ms, 200 * ms, 400 * ms, 800 * ms, 1600 * ms, 3 * time.Second, 5 * time.Second, 8 * time.Second, 10 * time.Second}
}

// Make makes one call, again while Graph does not see yet what was just made, and adds what it learns to known.
func (m Maker) Make(ctx context.Context, call Call, known Known) error {
	path, err1 := Resolve(call.Path, known.Get)
	body, err2 := resolveAll(call.Body, known.Get)
	if err := errors.Join(err1, err2); err != nil {
		return &Error{call, err}
	}
	answer, err := m.patiently(ctx, call, path, body)
	if refused, ok := errors.AsType[*graph.Error](err); ok && call.Asks && refuses(refused) {
		return &RefusedError{refused.Code}
	}
	if err != nil {
		return &Error{call, err}
	}
	for _, save := range call.Save {
		value, err := find(answer, save)
		if err != nil {
			return &Error{call, err}
		}
		if save.Secret {
			known.Secrets[save.As] = identity.NewSecret(value)
		} else {
			known.IDs[save.As] = value
		}
	}
	return nil
}

// refuses tells a policy's refusal from a missing right.
func refuses(e *graph.Error) bool {
	return e.Status == http.StatusBadRequest || errors.Is(e, graph.ErrConflict) || e.Status == http.StatusForbidden && e.Code != "Authorization_RequestDenied"
}

func (m Maker) patiently(ctx context.Context, call Call, path string, body any) (map[string]any, error) {
	waits := patience()
	for {
		out, err := m.once(ctx, call.Method, path, body)
		if err == nil || len(waits) == 0 || !call.Fresh || !unseen(err, call) {
			return out, err
		}
		if err := m.Pause(ctx, waits[0]); err != nil {
			return nil, err
		}
		waits = waits[1:]
	}
}

// unseen reports errors that Graph gives for objects that it does not see yet.
func unseen(err error, call Call) bool {
	refused, ok := errors.AsType[*graph.Error](err)
	if !ok {
		return false
	}
	switch refused.Status {
	case http.StatusNotFound:
		return true
	case http.StatusForbidden: // https://github.com/hashicorp/terraform-provider-azuread/issues/544
		return strings.Contains(refused.Message, "backing application of the service principal")
	case http.StatusBadRequest:
		codes := []string{"NoBackingApplicationObject", "InvalidValue", "Request_BadRequest", "Request_ResourceNotFound"}
		return !call.Asks && slices.Contains(codes, refused.Code)
	}
	return false
}

func (m Maker) once(ctx context.Context, method, path string, body any) (map[string]any, error) {
	path, text, _ := strings.Cut(path, "?")
	query, err := url.ParseQuery(text)
	if err != nil {
		return nil, fmt.Errorf("graph call: %w", err)
	}
	switch method {
	case http.MethodGet:
		return graph.Get[map[string]any](ctx, m.Graph, path, query)
	case http.MethodPatch:
		return nil, m.Graph.Patch(ctx, path, body)
	case http.MethodDelete:
		return nil, m.Graph.Delete(ctx, path)
	}
	out, err := graph.Post[map[string]any](ctx, m.Graph, path, body)
	if !errors.Is(err, graph.ErrConflict) {
		return out, err
	}
	// It is there: somebody was quicker, or an answer was lost.
	switch members, _ := body.(map[string]any); path {
	case "/servicePrincipals":
		appID, _ := members["appId"].(string)
		return graph.Get[map[string]any](ctx, m.Graph, graph.ByAppID("servicePrincipals", appID), nil)
	case "/oauth2PermissionGrants":
		return nil, nil //nolint:nilnil // nothing of the answer is needed
	}
	return out, err
}

// find reads what is to be saved.
func find(answer map[string]any, save Save) (string, error) {
	if save.Scope != "" {
		scopes, _ := answer["oauth2PermissionScopes"].([]any)
		for _, one := range scopes {
			scope, _ := one.(map[string]any)
			if id, _ := scope["id"].(string); scope["value"] == save.Scope && IsID(id) {
				return id, nil
			}
		}
		return "", fmt.Errorf("the answer offers no permission %s", save.Scope)
	}
	text, _ := answer[save.Member].(string)
	if text == "" || !save.Secret && !IsID(text) {
		return "", fmt.Errorf("the answer holds no %s", save.Member)
	}
	return text, nil
}
