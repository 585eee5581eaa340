package indexplan

import (
	"context"
	"errors"
	"fmt"

	"github.com/onbehalf/onbehalf/search"
)

// ErrDropped says that the service took a definition and kept no permissions of it.
var ErrDropped = errors.New("the service did not keep the permissions of the definition")

// Read returns the definition of an index, nil when there is none.
func Read(ctx context.Context, service search.Service, name string) (*search.Definition, error) {
	have, err := service.Definition(ctx, name)
	if errors.Is(err, search.ErrNotFound) {
		return nil, nil //nolint:nilnil // no index is no error here
	}
	return have, err
}

// Apply does what the plan says, if the index is still the one that was compared, and makes sure that the permissions are
// there afterwards.
func (p *Plan) Apply(ctx context.Context, service search.Service) error {
	if p.Blocked() {
		return errors.New("the plan holds what cannot be done")
	}
	if len(p.Steps) == 0 {
		return nil
	}
	written, err := service.Put(ctx, p.result, p.etag)
	if errors.Is(err, search.ErrPrecondition) {
		return errors.New("somebody has changed the index meanwhile: plan again")
	}
	if err != nil {
		return err
	}
	if written.PermissionFilterOption != search.PermissionsEnabled {
		return fmt.Errorf("permissionFilterOption: %w", ErrDropped)
	}
	kinds := map[string]string{}
	for i := range written.Fields {
		kinds[written.Fields[i].Name] = written.Fields[i].PermissionFilter
	}
	for i := range p.result.Fields {
		f := &p.result.Fields[i]
		if f.PermissionFilter != kinds[f.Name] {
			return fmt.Errorf("field %s: %w", f.Name, ErrDropped)
		}
	}
	return nil
}
