package registrations

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/internal/graph"
)

// Doer makes the calls of plans.
type Doer struct {
	Graph *graph.Client
	Save  func(*State) error               // keeps the state: after every object that was made
	Set   func([]Setting) error            // keeps settings, secrets among them: as soon as they are known
	Pause Pause                            // waits before a call is tried again
	Say   func(format string, args ...any) // tells what is being done
}

// patience are the waits for what was just made: half a minute in all.
//
// https://learn.microsoft.com/graph/best-practices-concept and the experience of every set-up script
func patience() []time.Duration {
	const ms = time.Millisecond
	return []time.Duration{100 * ms, 200 * ms, 400 * ms, 800 * ms, 1600 * ms, 3 * time.Second, 5 * time.Second, 8 * time.Second, 10 * time.Second}
}

// StepError says which call failed. Its text holds Graph's message: whoever runs a set-up may read it.
type StepError struct {
	Step Step
	Err  error
}

// Error names what was to be done and why it was not.
func (e *StepError) Error() string {
	text := e.Step.Do + ": " + e.Err.Error()
	if refused, ok := errors.AsType[*graph.Error](e.Err); ok && refused.Message != "" {
		text += ": " + refused.Message
	}
	return text
}

// Unwrap returns the cause.
func (e *StepError) Unwrap() error { return e.Err }

// Apply makes the calls of a plan in their order and keeps what it learns. When it ends with an error, everything up to
// there is done and kept, and a new plan holds the rest.
func Apply(ctx context.Context, do Doer, p *Plan, s *State) error {
	if p.Blocked != nil {
		return p.Blocked
	}
	ids := maps.Clone(s.IDs)
	s.Applied = ""
	if err := do.Save(s); err != nil {
		return err
	}
	for _, step := range p.Steps {
		do.Say("%s", show(step.Do))
		if err := do.step(ctx, step, ids, s); err != nil {
			return err
		}
		for name, id := range ids {
			if name != idURI && !strings.HasSuffix(name, "_secret") {
				s.IDs[name] = id
			}
		}
		if err := errors.Join(do.Save(s), do.settings(p.Settings, ids)); err != nil {
			return err
		}
	}
	s.Applied = p.digest
	return errors.Join(do.settings(p.Settings, ids), do.Save(s))
}

// settings keeps those whose values are known by now.
func (do Doer) settings(all []Setting, ids map[string]string) error {
	var known []Setting
	for _, s := range all {
		value, err := resolve(s.Value, ids)
		if err == nil {
			known = append(known, Setting{s.Name, value})
		}
	}
	return do.Set(known)
}

// step makes one call, again while Graph does not see yet what was just made.
func (do Doer) step(ctx context.Context, step Step, ids map[string]string, s *State) error {
	path, err1 := resolve(step.Path, ids)
	body, err2 := resolveAll(step.Body, ids)
	if err := errors.Join(err1, err2); err != nil {
		return &StepError{step, err}
	}
	answer, err := do.patiently(ctx, step, path, body)
	if step.URI != "" {
		return do.uri(step, err, ids, s)
	}
	if err != nil {
		return &StepError{step, err}
	}
	for _, save := range step.Save {
		if ids[save.As], err = answer.find(save); err != nil {
			return &StepError{step, err}
		}
	}
	return nil
}

func (do Doer) patiently(ctx context.Context, step Step, path string, body any) (answer, error) {
	for _, wait := range append(patience(), 0) {
		out, err := do.once(ctx, step.Method, path, body)
		if err == nil || wait == 0 || !step.Fresh || !unseen(err, step) {
			return out, err
		}
		if err := do.Pause(ctx, wait); err != nil {
			return nil, err
		}
	}
	return nil, errUnknownRef // not reached: the last wait is 0
}

// unseen reports errors that Graph gives for objects that it does not see yet.
func unseen(err error, step Step) bool {
	refused, ok := errors.AsType[*graph.Error](err)
	if !ok {
		return false
	}
	// The second is said of an application that was just registered here:
	// https://github.com/hashicorp/terraform-provider-azuread/issues/544
	if refused.Status == http.StatusNotFound || refused.Status == http.StatusForbidden && strings.Contains(refused.Message, "backing application of the service principal") {
		return true
	}
	codes := []string{"NoBackingApplicationObject", "InvalidValue", "Request_BadRequest", "Request_ResourceNotFound"}
	return refused.Status == http.StatusBadRequest && step.URI == "" && slices.Contains(codes, refused.Code)
}

// uri notes what became of an App ID URI: a refusal is no failure, and is not asked for again.
func (do Doer) uri(step Step, err error, ids map[string]string, s *State) error {
	s.Refused = slices.DeleteFunc(s.Refused, func(u string) bool { return u == step.URI })
	refused, ok := errors.AsType[*graph.Error](err)
	switch {
	case err == nil:
		ids[idURI] = step.URI
	case ok && (refused.Status == http.StatusBadRequest || errors.Is(err, graph.ErrConflict) || refused.Status == http.StatusForbidden && refused.Code != "Authorization_RequestDenied"):
		ids[idURI] = "api://" + ids[idApp(API)]
		s.Refused = append(s.Refused, step.URI)
		do.Say("! %s: %s (%s)", step.URI, RefusedURI, refused.Code)
	default:
		return &StepError{step, err}
	}
	return nil
}

// answer is what Graph answered.
type answer map[string]any

func (do Doer) once(ctx context.Context, method, path string, body any) (answer, error) {
	path, query, _ := strings.Cut(path, "?")
	values, err := parseQuery(query)
	if err != nil {
		return nil, err
	}
	switch method {
	case http.MethodGet:
		return graph.Get[answer](ctx, do.Graph, path, values)
	case http.MethodPatch:
		return nil, do.Graph.Patch(ctx, path, body)
	case http.MethodDelete:
		err = do.Graph.Delete(ctx, path)
		return nil, err
	}
	out, err := graph.Post[answer](ctx, do.Graph, path, body)
	if !errors.Is(err, graph.ErrConflict) {
		return out, err
	}
	// It is there: somebody was quicker, or an answer was lost.
	switch members, _ := body.(map[string]any); path {
	case "/servicePrincipals":
		appID, _ := members["appId"].(string)
		return graph.Get[answer](ctx, do.Graph, graph.ByAppID("servicePrincipals", appID), nil)
	case "/oauth2PermissionGrants":
		return nil, nil //nolint:nilnil // nothing of the answer is needed
	}
	return out, err
}

// find reads what is to be saved. Ids are ids: they go into addresses and a file.
func (a answer) find(save Save) (string, error) {
	if save.Scope != "" {
		scopes, _ := a["oauth2PermissionScopes"].([]any)
		for _, one := range scopes {
			scope, _ := one.(map[string]any)
			if id, _ := scope["id"].(string); scope["value"] == save.Scope && isGUID(id) {
				return id, nil
			}
		}
		return "", fmt.Errorf("the answer offers no permission %s", save.Scope)
	}
	text, _ := a[save.Member].(string)
	if text == "" || !save.secret() && !isGUID(text) {
		return "", fmt.Errorf("the answer holds no %s", save.Member)
	}
	return text, nil
}
