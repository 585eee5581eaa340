package entraserver

import (
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
)

// ReadPolicies reads policies as YAML, with the member names of the JSON. A member that nobody knows is a mistake.
func ReadPolicies(r io.Reader) (Policies, error) {
	const most = 1 << 20
	var p Policies
	decoder := yaml.NewDecoder(io.LimitReader(r, most))
	decoder.KnownFields(true)
	if err := decoder.Decode(&p); err != nil && !errors.Is(err, io.EOF) {
		return Policies{}, fmt.Errorf("policies: %w", err)
	}
	return p, nil
}
