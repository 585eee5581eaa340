package entraserver

import (
	"fmt"
	"maps"

	"github.com/onbehalf/onbehalf/identity"
)

// Sign makes a token of whatever it is given: expired, for another audience, without scope, by the wrong key. For tests
// of those who have to refuse it.
func (s *Server) Sign(r SignRequest) (identity.Secret, error) {
	key, err := s.signingKeyFor(r.Key)
	if err != nil {
		return identity.Secret{}, err
	}
	header, claims := map[string]any{}, map[string]any{}
	if !r.Bare {
		header = map[string]any{"typ": "JWT", "alg": "RS256", "kid": key.kid}
		if claims, err = s.goodClaims(r.User); err != nil {
			return identity.Secret{}, err
		}
	}
	overlay(header, r.Header)
	overlay(claims, r.Claims)
	if r.Key == "none" {
		unsigned, encodeErr := encodeJWT(header, claims)
		return identity.NewSecret(string(unsigned) + "."), encodeErr
	}
	text, err := signJWT(key, header, claims)
	return identity.NewSecret(text), err
}

// overlay puts members in; null takes one away.
func overlay(dst, src map[string]any) {
	maps.Copy(dst, src)
	maps.DeleteFunc(dst, func(_ string, v any) bool { return v == nil })
}

func (s *Server) signingKeyFor(name string) (*signingKey, error) {
	switch name {
	case "", "current", "none":
		return s.keys.signer(), nil
	case "next":
		return s.keys.nextKey()
	case "consumers":
		return s.keys.consumers.get()
	case "unknown":
		return newSigningKey(s.now())
	default:
		return nil, fmt.Errorf("key %q: want current, next, consumers, unknown or none", name)
	}
}

// goodClaims returns those of a token of the person for the sample API.
func (s *Server) goodClaims(user string) (map[string]any, error) {
	id, err := s.personID(orElse(user, "alice"))
	if err != nil {
		return nil, err
	}
	person, now := s.dir.Person(id), s.now()
	issued := now.Add(-backdate).Unix()
	return map[string]any{
		"aud": ContosoAPI, "iss": s.self().issuer(2, s.dir.Tenant().String()), "iat": issued, "nbf": issued, "exp": now.Add(s.life()).Unix(),
		"azp": ContosoWebClient, "azpacr": string(proofNone), "name": person.Name, "oid": person.ID.String(), "preferred_username": person.UPN,
		"scp": "execute", "sub": s.subject(client(ContosoAPI), person.ID), "tid": s.dir.Tenant().String(), "uti": randomText(16), "ver": "2.0", "idtyp": "user",
	}, nil
}
