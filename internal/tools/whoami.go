package tools

import (
	"context"
	"time"

	"github.com/onbehalf/onbehalf"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
)

// WhoamiOutput is whom the server takes the caller to be.
type WhoamiOutput struct {
	Name    string   `json:"name" jsonschema:"for display; anyone may change it"`
	UPN     string   `json:"upn,omitempty"`
	Oid     string   `json:"oid" jsonschema:"object id of the person in the tenant"`
	Tenant  string   `json:"tenant"`
	Scopes  []string `json:"scopes" jsonschema:"what the person let the client do"`
	Roles   []string `json:"roles,omitempty"`
	Client  string   `json:"client" jsonschema:"application id of the client"`
	Agent   string   `json:"agent,omitempty" jsonschema:"application id of an agent that acts for the person"`
	Expires string   `json:"expires" jsonschema:"when the token ends, RFC 3339"`
}

// AddWhoami adds the tool whoami, for people who debug.
func AddWhoami(server *onbehalf.Server) error {
	return onbehalf.AddTool(server, &onbehalf.Tool{
		Name:        "whoami",
		Title:       "Who am I here",
		Description: "Says whom this server takes the signed-in person to be.",
		ReadOnly:    true,
	}, entra.Scope{}, func(_ context.Context, caller *identity.Caller, _ identity.Token, _ struct{}) (WhoamiOutput, error) {
		out := WhoamiOutput{
			Name: caller.Name, UPN: caller.UPN, Oid: caller.Object.String(), Tenant: caller.Tenant.String(),
			Scopes: append([]string{}, caller.Scopes...), Roles: caller.Roles, Client: caller.Client.String(),
			Expires: caller.Expires.UTC().Format(time.RFC3339),
		}
		if caller.Actor != nil {
			out.Agent = caller.Actor.Client.String()
		}
		return out, nil
	})
}
