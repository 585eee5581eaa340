package entraserver

import (
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/identity"
)

// addPassword makes a secret; this answer is the only one that holds it.
//
// https://learn.microsoft.com/graph/api/application-addpassword
func (c *graphCall) addPassword() (any, error) {
	a, err := c.application()
	if err != nil {
		return nil, err
	}
	var body struct {
		Password struct {
			DisplayName string    `json:"displayName"`
			Start       time.Time `json:"startDateTime"`
			End         time.Time `json:"endDateTime"`
		} `json:"passwordCredential"`
	}
	if decodeErr := c.decode(&body); decodeErr != nil {
		return nil, decodeErr
	}
	now := c.now().UTC().Truncate(time.Second)
	password := newSecret(clipText(body.Password.DisplayName, maxDisplayName), body.Password.Start, body.Password.End)
	if password.Start.IsZero() {
		password.Start = now
	}
	if password.End.IsZero() {
		password.End = now.AddDate(2, 0, 0)
	}
	if !password.End.After(password.Start) {
		return nil, errGraphBad("Credential lifetime is invalid: endDateTime must be after startDateTime.")
	}
	err = c.dir.UpdateApplication(a.AppID, func(a *Application) error {
		a.PasswordCredentials = append(a.PasswordCredentials, password)
		return nil
	})
	if err != nil {
		return nil, applicationTrouble(err)
	}
	return map[string]any{
		"@odata.context": c.context() + "microsoft.graph.passwordCredential",
		"keyId":          password.KeyID, "displayName": orNull(password.DisplayName), "hint": password.Hint, "customKeyIdentifier": nil,
		"startDateTime": password.Start.Format(time.RFC3339), "endDateTime": password.End.UTC().Format(time.RFC3339),
		"secretText": password.Secret.Reveal(), // the one place where Entra tells it
	}, nil
}

// newSecret makes a secret of 40 characters, as long as Entra's.
func newSecret(name string, start, end time.Time) PasswordCredential {
	text := "l0~" + rand.Text() + rand.Text()[:11]
	return PasswordCredential{KeyID: newGUID(), DisplayName: name, Hint: text[:3], Start: start, End: end, Secret: identity.NewSecret(text)}
}

func (c *graphCall) removePassword() (any, error) {
	a, err := c.application()
	if err != nil {
		return nil, err
	}
	var body struct {
		KeyID string `json:"keyId"`
	}
	if decodeErr := c.decode(&body); decodeErr != nil {
		return nil, decodeErr
	}
	return nil, c.dir.UpdateApplication(a.AppID, func(a *Application) error {
		i := slices.IndexFunc(a.PasswordCredentials, func(p PasswordCredential) bool { return strings.EqualFold(p.KeyID, body.KeyID) })
		if i < 0 {
			return errGraphBad("No password credential found with keyId '" + clipText(body.KeyID, 40) + "'.")
		}
		a.PasswordCredentials = slices.Delete(a.PasswordCredentials, i, i+1)
		return nil
	})
}

// maxFederated is how many federated credentials an application may have.
//
// https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations
const maxFederated = 20

const federatedEntity = "applications/federatedIdentityCredentials"

func federatedProperties(f FederatedCredential) map[string]any {
	return map[string]any{
		"id": f.ID, "name": f.Name, "issuer": f.Issuer, "subject": f.Subject, "audiences": f.Audiences, "description": orNull(f.Description),
	}
}

func (c *graphCall) listFederated() (any, error) {
	a, err := c.application()
	if err != nil {
		return nil, err
	}
	all := []map[string]any{}
	for _, f := range a.FederatedCredentials {
		all = append(all, federatedProperties(f))
	}
	return c.list(federatedEntity, all)
}

// federated finds a credential by id or name.
func (a *Application) federated(key string) int {
	if name, ok := cutKey(key, "name"); ok {
		key = name
	}
	return slices.IndexFunc(a.FederatedCredentials, func(f FederatedCredential) bool { return strings.EqualFold(f.ID, key) || f.Name == key })
}

func (c *graphCall) getFederated() (any, error) {
	a, err := c.application()
	if err != nil {
		return nil, err
	}
	i := a.federated(c.keys[1])
	if i < 0 {
		return nil, errGraphMissing(clipText(c.keys[1], 100))
	}
	return c.one(federatedEntity, federatedProperties(a.FederatedCredentials[i]))
}

func (c *graphCall) createFederated() (any, error) {
	a, err := c.application()
	if err != nil {
		return nil, err
	}
	var made FederatedCredential
	if decodeErr := c.decode(&made); decodeErr != nil {
		return nil, decodeErr
	}
	made.ID = newGUID()
	if made.Name == "" || made.Issuer == "" || made.Subject == "" || len(made.Audiences) != 1 {
		return nil, errGraphBad("A federated credential needs name, issuer, subject and exactly one audience.")
	}
	if len(made.Name) > 120 || len(made.Issuer) > 600 || len(made.Subject) > 600 || len(made.Audiences[0]) > 600 {
		return nil, errGraphBad("A property of the federated credential is too long.")
	}
	err = c.dir.UpdateApplication(a.AppID, func(a *Application) error {
		if a.federated(made.Name) >= 0 {
			return errGraphExists(409, "FederatedIdentityCredential with name "+clipText(made.Name, 120)+" already exists.")
		}
		same := func(f FederatedCredential) bool { return f.Issuer == made.Issuer && f.Subject == made.Subject }
		if slices.ContainsFunc(a.FederatedCredentials, same) {
			return errGraphExists(409, "FederatedIdentityCredential with issuer and subject values already exists.")
		}
		if len(a.FederatedCredentials) >= maxFederated {
			return errGraphBad("The application has 20 federated credentials, which is the most that Entra allows.")
		}
		a.FederatedCredentials = append(a.FederatedCredentials, made)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return c.one(federatedEntity, federatedProperties(made))
}

// patchFederated changes what the body names; the name stays.
//
// https://learn.microsoft.com/graph/api/federatedidentitycredential-update
func (c *graphCall) patchFederated() (any, error) {
	a, err := c.application()
	if err != nil {
		return nil, err
	}
	var body struct {
		Issuer      string   `json:"issuer"`
		Subject     string   `json:"subject"`
		Audiences   []string `json:"audiences"`
		Description *string  `json:"description"`
	}
	if decodeErr := c.decode(&body); decodeErr != nil {
		return nil, decodeErr
	}
	return nil, c.dir.UpdateApplication(a.AppID, func(a *Application) error {
		i := a.federated(c.keys[1])
		if i < 0 {
			return errGraphMissing(clipText(c.keys[1], 100))
		}
		f := &a.FederatedCredentials[i]
		f.Issuer, f.Subject = orElse(body.Issuer, f.Issuer), orElse(body.Subject, f.Subject)
		if body.Audiences != nil {
			f.Audiences = body.Audiences
		}
		if body.Description != nil {
			f.Description = *body.Description
		}
		if len(f.Issuer) > 600 || len(f.Subject) > 600 || len(f.Audiences) != 1 || len(f.Audiences[0]) > 600 {
			return errGraphBad("A federated credential needs issuer, subject and exactly one audience, each of at most 600 characters.")
		}
		return nil
	})
}

func (c *graphCall) deleteFederated() (any, error) {
	a, err := c.application()
	if err != nil {
		return nil, err
	}
	return nil, c.dir.UpdateApplication(a.AppID, func(a *Application) error {
		i := a.federated(c.keys[1])
		if i < 0 {
			return errGraphMissing(clipText(c.keys[1], 100))
		}
		a.FederatedCredentials = slices.Delete(a.FederatedCredentials, i, i+1)
		return nil
	})
}
