//go:build interop

package signin_test

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
)

// keyNamed finds a key in a JSON Web Key Set.
func keyNamed(set []byte, kid string) (*rsa.PublicKey, error) {
	var keys struct {
		Keys []struct{ Kid, N, E string }
	}
	if err := json.Unmarshal(set, &keys); err != nil {
		return nil, err
	}
	for _, key := range keys.Keys {
		if key.Kid != kid {
			continue
		}
		n, err := base64.RawURLEncoding.DecodeString(key.N)
		if err != nil {
			return nil, err
		}
		e, err := base64.RawURLEncoding.DecodeString(key.E)
		if err != nil {
			return nil, err
		}
		return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}, nil
	}
	return nil, fmt.Errorf("no key %q", kid)
}
