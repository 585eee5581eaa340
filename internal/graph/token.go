package graph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
)

// Credentials are those of an application that calls Graph as itself.
type Credentials struct {
	TokenURL   string // "https://login.microsoftonline.com/TENANT/oauth2/v2.0/token"
	ClientID   identity.ClientID
	Secret     identity.Secret
	Scope      string       // "" means "https://graph.microsoft.com/.default"; other clouds have another host
	HTTPClient *http.Client // required
	Now        func() time.Time
}

// expiryMargin is how long before its end a token is no longer used.
const expiryMargin = 5 * time.Minute

// ClientCredentials returns a source of tokens by the client credentials grant. It keeps a token until five minutes
// before its end (half its life when it lives less than ten minutes), and has one request under way at a time.
//
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
func ClientCredentials(cfg Credentials) (TokenFunc, error) {
	u, err := url.Parse(cfg.TokenURL)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, fmt.Errorf("token URL %q: want https://HOST/TENANT/oauth2/v2.0/token", cfg.TokenURL)
	}
	if cfg.ClientID.IsZero() || cfg.Secret.IsZero() || cfg.HTTPClient == nil {
		return nil, errors.New("client credentials: client id, secret and HTTPClient are required")
	}
	if cfg.Scope == "" {
		cfg.Scope = "https://graph.microsoft.com/.default"
	}
	if cfg.Now == nil {
		cfg.Now = time.Now //nolint:forbidigo // the default clock is set here alone
	}
	cfg.HTTPClient = noRedirect(cfg.HTTPClient)
	source := &tokenSource{cfg: cfg, turn: make(chan struct{}, 1)}
	return source.token, nil
}

type tokenSource struct {
	cfg  Credentials
	turn chan struct{} // holds one element while somebody uses what is below

	value identity.Secret
	until time.Time
}

func (s *tokenSource) token(ctx context.Context) (identity.Secret, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return identity.Secret{}, fmt.Errorf("client credentials: %w", context.Cause(ctx))
	}
	now := s.cfg.Now()
	if !s.value.IsZero() && now.Before(s.until) {
		return s.value, nil
	}
	value, life, err := s.cfg.request(ctx)
	if err != nil {
		return identity.Secret{}, err
	}
	s.value, s.until = value, now.Add(max(life-expiryMargin, life/2))
	return value, nil
}

func (c *Credentials) request(ctx context.Context) (identity.Secret, time.Duration, error) {
	form := url.Values{
		"grant_type":    {"client_credentials"},
		"client_id":     {c.ClientID.String()},
		"client_secret": {c.Secret.Reveal()},
		"scope":         {c.Scope},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return identity.Secret{}, 0, fmt.Errorf("client credentials: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := c.HTTPClient.Do(req)
	if err != nil {
		return identity.Secret{}, 0, fmt.Errorf("client credentials: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return identity.Secret{}, 0, entra.ParseError(resp.StatusCode, resp.Header, resp.Body)
	}
	var wire struct {
		AccessToken identity.Secret `json:"access_token"`
		TokenType   string          `json:"token_type"`
		ExpiresIn   json.Number     `json:"expires_in"`
	}
	const maxTokenAnswer = 256 << 10
	if err = json.NewDecoder(io.LimitReader(resp.Body, maxTokenAnswer)).Decode(&wire); err != nil {
		return identity.Secret{}, 0, errors.New("client credentials: the answer is not a token")
	}
	seconds, err := wire.ExpiresIn.Int64()
	if err != nil || seconds <= 0 || seconds > 7*24*3600 || wire.AccessToken.IsZero() || !strings.EqualFold(wire.TokenType, "Bearer") {
		return identity.Secret{}, 0, errors.New("client credentials: the answer is not a bearer token with a life")
	}
	return wire.AccessToken, time.Duration(seconds) * time.Second, nil
}
