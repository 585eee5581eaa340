package graph

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/onbehalf/onbehalf/identity"
)

// NewPassword is a client secret just made: the only time that Graph tells it.
type NewPassword struct {
	KeyID       string          `json:"keyId"`
	Secret      identity.Secret `json:"secretText"`
	Hint        string          `json:"hint"`
	EndDateTime time.Time       `json:"endDateTime"`
}

// AddPassword gives an application a new client secret; application is its object id.
//
// https://learn.microsoft.com/graph/api/application-addpassword
func (c *Client) AddPassword(ctx context.Context, application, displayName string, end time.Time) (NewPassword, error) {
	utc := end.UTC()
	body := struct {
		Password PasswordCredential `json:"passwordCredential"`
	}{PasswordCredential{DisplayName: displayName, EndDateTime: &utc}}
	made, err := Post[NewPassword](ctx, c, "/applications/"+url.PathEscape(application)+"/addPassword", body)
	if err != nil {
		return NewPassword{}, fmt.Errorf("add a client secret: %w", err)
	}
	if made.Secret.IsZero() {
		return NewPassword{}, errors.New("add a client secret: the answer holds none")
	}
	return made, nil
}

// RemovePassword takes a client secret away.
//
// https://learn.microsoft.com/graph/api/application-removepassword
func (c *Client) RemovePassword(ctx context.Context, application, keyID string) error {
	body := struct {
		KeyID string `json:"keyId"`
	}{keyID}
	if err := c.Do(ctx, "/applications/"+url.PathEscape(application)+"/removePassword", body); err != nil {
		return fmt.Errorf("remove a client secret: %w", err)
	}
	return nil
}
