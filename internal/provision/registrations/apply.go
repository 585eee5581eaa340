package registrations

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/provision/graphcalls"
)

// Doer makes the calls of plans and keeps what they learn.
type Doer struct {
	graphcalls.Maker
	Save func(*State) error               // keeps the state: after every object that was made
	Set  func([]Setting) error            // keeps settings, secrets among them: as soon as they are known
	Say  func(format string, args ...any) // tells what is being done
}

// Apply makes the calls of a plan in their order and keeps what it learns. When it ends with an error, everything up to
// there is done and kept, and a new plan holds the rest.
func Apply(ctx context.Context, do Doer, p *Plan, s *State) error {
	if p.Blocked != nil {
		return p.Blocked
	}
	known := graphcalls.Known{IDs: maps.Clone(s.IDs), Secrets: map[string]identity.Secret{}}
	uri := p.uri
	get := func(name string) string {
		if name == idURI {
			return uri
		}
		return known.Get(name)
	}
	s.Applied = ""
	if err := errors.Join(do.Save(s), do.settings(p.Settings, get)); err != nil {
		return err // before anything is made that could not be kept
	}
	for _, call := range p.Steps {
		do.Say("%s", graphcalls.Show(call.Do))
		err := do.Make(ctx, call, known)
		if call.Asks {
			uri, err = do.asked(p.asked, err, known, s)
		}
		if err != nil {
			return err
		}
		s.IDs = maps.Clone(known.IDs)
		if err := errors.Join(do.Save(s), do.settings(p.Settings, get)); err != nil {
			return err
		}
	}
	s.Applied = p.digest
	return errors.Join(do.settings(p.Settings, get), do.Save(s))
}

// settings keeps those whose values are known by now.
func (do Doer) settings(all []Setting, get func(string) string) error {
	var known []Setting
	for _, s := range all {
		value, err := graphcalls.Resolve(s.Value, get)
		if err == nil {
			known = append(known, Setting{s.Name, value})
		}
	}
	return do.Set(known)
}

// asked notes what became of an App ID URI, and returns the one in force: a refusal is no failure, and the same is not
// asked again.
func (do Doer) asked(uri string, err error, known graphcalls.Known, s *State) (string, error) {
	refused, ok := errors.AsType[*graphcalls.RefusedError](err)
	if err != nil && !ok {
		return "", err
	}
	s.Refused = slices.DeleteFunc(s.Refused, func(u string) bool { return u == uri })
	if !ok {
		return uri, nil
	}
	s.Refused = append(s.Refused, uri)
	do.Say("! %s: %s (%s)", uri, RefusedURI, refused.Code)
	return "api://" + known.IDs[idApp(API)], nil
}
