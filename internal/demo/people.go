package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/internal/sample"
)

// person is somebody of the local Entra, as its control API tells.
type person struct {
	Oid    string   `json:"oid"`
	UPN    string   `json:"upn"`
	Name   string   `json:"name"`
	Groups []string `json:"groups"` // object ids, nested ones included

	short string
}

// mainPeople are those of the sample tenant who act in the show.
func mainPeople() []string { return []string{"alice", "bob", "carol"} }

// extraPeople is how many people of a file act beside them: those with the most documents of their own.
const extraPeople = 2

// findPeople asks the local Entra who there is and casts the show.
func (d *demo) findPeople(ctx context.Context) error {
	var all []person
	if err := d.control(ctx, http.MethodGet, "people", nil, &all); err != nil {
		return err
	}
	for i := range all {
		all[i].short = short(all[i].UPN)
	}
	for _, name := range mainPeople() {
		if i := slices.IndexFunc(all, func(p person) bool { return p.UPN == name+"@"+d.settings["TENANT_DOMAIN"] }); i >= 0 {
			d.people = append(d.people, all[i])
		}
	}
	if d.config.People != nil {
		d.people = append(d.people, owners(all, d.config.Documents, extraPeople)...)
	}
	if len(d.people) == 0 {
		return errors.New("the local Entra knows none of the sample people")
	}
	return nil
}

// owners returns the people whom the most documents name.
func owners(people []person, documents []sample.Document, most int) []person {
	count := map[string]int{}
	for i := range documents {
		for _, oid := range documents[i].Oid {
			count[oid]++
		}
	}
	named := slices.DeleteFunc(slices.Clone(people), func(p person) bool { return count[p.Oid] == 0 })
	slices.SortStableFunc(named, func(a, b person) int { return count[b.Oid] - count[a.Oid] })
	return named[:min(most, len(named))]
}

func short(upn string) string {
	name, _, _ := bytes.Cut([]byte(upn), []byte("@"))
	return string(name)
}

// maxControl bounds an answer of the control API: 10,000 people with their groups.
const maxControl = 64 << 20

// control calls the local Entra's control API.
func (d *demo) control(ctx context.Context, method, path string, body, out any) error {
	var payload io.Reader = http.NoBody
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		payload = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, d.local.EntraURL+"/_local/"+path, payload)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := d.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxControl))
	if err != nil {
		return err
	}
	if refusal := entra.ParseError(resp.StatusCode, resp.Header, bytes.NewReader(text)); resp.StatusCode >= http.StatusBadRequest && refusal.Number() != 0 {
		return refusal // Entra says no, as it would on its page
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("control API: %s: HTTP %d: %.200s", path, resp.StatusCode, text)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}
