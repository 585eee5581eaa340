package registrations

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/onbehalf/onbehalf/internal/graph"
	"github.com/onbehalf/onbehalf/internal/provision/changes"
	"github.com/onbehalf/onbehalf/internal/provision/graphcalls"
)

// Removal is a plan that takes away.
type Removal struct {
	Plan
	Left []string // what the state file names and what is not to be touched

	roles []Role // of the steps
}

func allRoles() []Role { return []Role{Agent, Client, API} }

// PlanRemoval looks for what a state file names by object id. What does not bear the deployment's tag is left alone, as is
// everything that the state file does not name.
func PlanRemoval(ctx context.Context, c *graph.Client, s *State) (*Removal, error) {
	tenants, err := graph.List[graph.Organization](ctx, c, "/organization", nil, 1)
	if err != nil || len(tenants) != 1 {
		return nil, fmt.Errorf("read the tenant: %w", errors.Join(err, missingIf(len(tenants) == 0 && err == nil)))
	}
	r := &Removal{Plan: Plan{Tenant: tenants[0]}}
	if s.Tenant != "" && s.Tenant != tenants[0].ID {
		return nil, fmt.Errorf("the state file is of the tenant %s, and the sign-in is for %s", s.Tenant, tenants[0].ID)
	}
	for _, role := range allRoles() {
		if id := s.IDs[idObject(role)]; id != "" {
			if err := r.look(ctx, c, s, role, id); err != nil {
				return nil, err
			}
		}
	}
	return r, r.strangers(ctx, c, s)
}

func (r *Removal) look(ctx context.Context, c *graph.Client, s *State, role Role, id string) error {
	app, err := readApp(ctx, c, id)
	object := role.title()
	switch {
	case errors.Is(err, graph.ErrNotFound):
		r.Changes = append(r.Changes, changes.Change{Mark: changes.Keep, Object: object, Note: "gone already"})
		return nil
	case err != nil:
		return err
	}
	object += " " + graphcalls.OneLine(app.DisplayName)
	if !s.owns(app.Tags) || app.AppID != s.IDs[idApp(role)] {
		r.Changes = append(r.Changes, changes.Change{Mark: changes.Warn, Object: object, Note: app.AppID + " does not bear this deployment's tag: left alone"})
		r.Left = append(r.Left, object)
		return nil
	}
	r.Changes = append(r.Changes, changes.Change{Mark: changes.Drop, Object: object, Note: app.AppID + ", with its service principal, credentials and consents"})
	r.Steps = append(r.Steps, graphcalls.Call{Do: "take away the " + object, Method: http.MethodDelete, Path: "/applications/" + url.PathEscape(app.ID), Right: graphcalls.ManageApps})
	r.roles = append(r.roles, role)
	return nil
}

// strangers tells of applications with the deployment's tags that the state file does not name.
func (r *Removal) strangers(ctx context.Context, c *graph.Client, s *State) error {
	filter := "tags/any(t:t eq " + graph.Quote(tagName(s.Name)) + ")"
	tagged, err := graph.List[graph.Application](ctx, c, "/applications", url.Values{"$filter": {filter}, "$select": {"id,appId,displayName,tags"}}, maxStrangers)
	if err != nil {
		return fmt.Errorf("look for applications of %s: %w", s.Name, err)
	}
	for _, app := range tagged {
		known := slices.ContainsFunc(allRoles(), func(role Role) bool { return s.IDs[idObject(role)] == app.ID })
		if !known {
			r.Changes = append(r.Changes, changes.Change{Mark: changes.Warn, Object: "application " + app.DisplayName, Note: app.AppID + " bears the tags of " + s.Name + ", and the state file does not name it: left alone"})
		}
	}
	return nil
}

// Remove makes the calls, forgets each application in the state when it is gone, and empties the settings that named it.
// held is what a setting is now: those of another deployment stay.
func Remove(ctx context.Context, do Doer, r *Removal, s *State, held func(name string) string) error {
	for i, step := range r.Steps {
		do.Say("%s", step.Do)
		if err := do.Graph.Delete(ctx, step.Path); err != nil && !errors.Is(err, graph.ErrNotFound) {
			return &graphcalls.Error{Call: step, Err: err}
		}
		role := r.roles[i]
		empty := settingsOf(role)
		if held(empty[0].Name) != s.IDs[idApp(role)] {
			empty = nil
		}
		s.forget(role)
		s.Applied = ""
		if err := errors.Join(do.Save(s), do.Set(empty)); err != nil {
			return err
		}
	}
	return nil
}

// settingsOf are the settings that an application leaves behind, the one with its client id first.
func settingsOf(r Role) []Setting {
	switch r {
	case API:
		return []Setting{{"API_CLIENT_ID", ""}, {"API_APP_ID_URI", ""}, {"CLIENT_SECRET", ""}}
	case Client:
		return []Setting{{"WEB_CLIENT_ID", ""}}
	default:
		return []Setting{{"AGENT_CLIENT_ID", ""}, {"AGENT_CLIENT_SECRET", ""}}
	}
}

// Done reports whether a state names nothing any more.
func (s *State) Done() bool {
	return !slices.ContainsFunc(allRoles(), func(r Role) bool { return s.IDs[idObject(r)] != "" })
}
