package entraserver

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/onbehalf/onbehalf/identity"
)

// LoadPeople adds people from JSON lines: {"name", "upn", "oid", "groups": [object ids]}. A group that the tenant lacks is
// made, named by its id. Their password is everybody's. It returns how many people it added, and the line of the first
// mistake.
func (d *Directory) LoadPeople(r io.Reader) (int, error) {
	const longestLine = 1 << 20
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, longestLine)
	password, added := identity.NewSecret(ContosoPassword), 0
	for n := 1; lines.Scan(); n++ {
		if len(strings.TrimSpace(lines.Text())) == 0 {
			continue
		}
		if err := d.loadPerson(lines.Bytes(), password); err != nil {
			return added, fmt.Errorf("people, line %d: %w", n, err)
		}
		added++
	}
	if err := lines.Err(); err != nil {
		return added, fmt.Errorf("people: %w", err)
	}
	return added, nil
}

func (d *Directory) loadPerson(line []byte, password identity.Secret) error {
	var p struct {
		Name   string              `json:"name"`
		UPN    string              `json:"upn"`
		OID    identity.ObjectID   `json:"oid"`
		Groups []identity.ObjectID `json:"groups"`
	}
	if err := json.Unmarshal(line, &p); err != nil {
		return fmt.Errorf("want {name, upn, oid, groups}: %w", err)
	}
	given, surname, _ := strings.Cut(p.Name, " ")
	if err := d.AddPerson(&Person{
		ID: p.OID, UPN: p.UPN, Name: p.Name, GivenName: given, Surname: surname, Mail: p.UPN, Enabled: true, Password: password,
	}); err != nil {
		return err
	}
	for _, group := range p.Groups {
		if err := d.AddGroup(&Group{ID: group, Name: group.String(), SecurityEnabled: true}); err != nil && !errors.Is(err, ErrExists) {
			return err
		}
		if err := d.AddMember(group, p.OID); err != nil {
			return err
		}
	}
	return nil
}
