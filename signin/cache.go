package signin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/cache"

	"github.com/onbehalf/onbehalf/identity"
)

// Key names an entry of the cache: the tokens of one client for one server, of all accounts.
type Key struct {
	Authority string            `json:"authority"`
	Tenant    string            `json:"tenant"`
	Client    identity.ClientID `json:"client"`
	Server    string            `json:"server"`
}

// Cache keeps the entries. Their content is the JSON that all MSAL libraries share; to a cache it is opaque and secret.
type Cache interface {
	// Load returns an entry, nil when there is none.
	Load(ctx context.Context, key Key) ([]byte, error)
	// Update replaces an entry by what change makes of it (nil: remove it), with no other update between, of any process.
	Update(ctx context.Context, key Key, change func(old []byte) ([]byte, error)) error
	// Keys lists the entries.
	Keys(ctx context.Context) ([]Key, error)
}

// Memory is a cache that ends with the process. The zero Memory is ready.
type Memory struct {
	mu      sync.Mutex
	entries map[Key][]byte
}

// Load implements [Cache].
func (m *Memory) Load(_ context.Context, key Key) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return bytes.Clone(m.entries[key]), nil
}

// Update implements [Cache].
func (m *Memory) Update(_ context.Context, key Key, change func([]byte) ([]byte, error)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	changed, err := change(bytes.Clone(m.entries[key]))
	if err != nil {
		return err
	}
	if changed == nil {
		delete(m.entries, key)
		return nil
	}
	if m.entries == nil {
		m.entries = map[Key][]byte{}
	}
	m.entries[key] = bytes.Clone(changed)
	return nil
}

// Keys implements [Cache].
func (m *Memory) Keys(context.Context) ([]Key, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	keys := make([]Key, 0, len(m.entries))
	for key := range m.entries {
		keys = append(keys, key)
	}
	return keys, nil
}

// accessor is what MSAL sees of one entry. MSAL always writes the whole, so what another process added or removed in
// the meantime is merged: what changed here since it was read wins, the rest is as it is found.
type accessor struct {
	cache Cache
	key   Key

	mu   sync.Mutex
	base []byte // as MSAL read it last
}

// Replace implements MSAL's ExportReplace.
func (a *accessor) Replace(ctx context.Context, into cache.Unmarshaler, _ cache.ReplaceHints) error {
	entry, err := a.cache.Load(ctx, a.key)
	if err != nil {
		return fmt.Errorf("token cache: %w", err)
	}
	if entry == nil {
		entry = []byte("{}")
	}
	if isFresh(ctx) {
		if entry, err = withoutAccessTokens(entry); err != nil {
			return err
		}
	}
	a.mu.Lock()
	a.base = entry
	a.mu.Unlock()
	return into.Unmarshal(entry)
}

// Export implements MSAL's ExportReplace.
func (a *accessor) Export(ctx context.Context, from cache.Marshaler, _ cache.ExportHints) error {
	ours, err := from.Marshal()
	if err != nil {
		return fmt.Errorf("token cache: %w", err)
	}
	a.mu.Lock()
	base := a.base
	a.mu.Unlock()
	err = a.cache.Update(ctx, a.key, func(theirs []byte) ([]byte, error) { return merge(base, ours, theirs) })
	if err != nil {
		return fmt.Errorf("token cache: %w", err)
	}
	return nil
}

// contract is MSAL's schema as far as it matters here: sections of named items.
type contract map[string]map[string]json.RawMessage

func parseContract(entry []byte) (contract, error) {
	c := contract{}
	if len(entry) == 0 {
		return c, nil
	}
	if err := json.Unmarshal(entry, &c); err != nil {
		return nil, fmt.Errorf("token cache: an entry is not MSAL's: %w", err)
	}
	return c, nil
}

// merge applies to theirs what changed between base and ours.
func merge(base, ours, theirs []byte) ([]byte, error) {
	var parsed [3]contract
	for i, entry := range [][]byte{base, ours, theirs} {
		var err error
		if parsed[i], err = parseContract(entry); err != nil {
			return nil, err
		}
	}
	before, after, result := parsed[0], parsed[1], parsed[2]
	for section, items := range after {
		for name, item := range items {
			if bytes.Equal(item, before[section][name]) {
				continue
			}
			if result[section] == nil {
				result[section] = map[string]json.RawMessage{}
			}
			result[section][name] = item
		}
	}
	for section, items := range before {
		for name := range items {
			if _, kept := after[section][name]; !kept {
				delete(result[section], name)
			}
		}
	}
	return json.Marshal(result)
}

// withoutAccessTokens leaves the refresh tokens: what a caller asks for to whom a server refused the access token.
func withoutAccessTokens(entry []byte) ([]byte, error) {
	c, err := parseContract(entry)
	if err != nil {
		return nil, err
	}
	delete(c, "AccessToken")
	return json.Marshal(c)
}
