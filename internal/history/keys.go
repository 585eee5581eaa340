package history

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/onbehalf/onbehalf/identity"
)

// minSecret is how many characters a secret needs.
const minSecret = 32

// keys are all keys of a file, derived from one secret and the file's salt (HKDF with SHA-256, RFC 5869). Each person has
// keys of her own, so that a text of one never opens as another's.
type keys struct{ master, salt []byte }

func newKeys(secret identity.Secret, salt []byte) keys { return keys{[]byte(secret.Reveal()), salt} }

func (k keys) derive(info string) []byte {
	key, err := hkdf.Key(sha256.New, k.master, k.salt, "onbehalf history 1 "+info, sha256.Size)
	if err != nil {
		return make([]byte, sha256.Size) // cannot be: the length is that of one hash
	}
	return key
}

// check is what tells the right secret from another one.
func (k keys) check() []byte { return k.derive("check") }

// vault is what belongs to one person: the bucket's name, and the keys.
type vault struct {
	name []byte
	ids  []byte // MACs ids
	aead cipher.AEAD
}

func (k keys) vault(p Person) vault {
	return vault{mac(k.derive("name"), p.String()), k.derive("ids of " + p.String()), gcm(k.derive("person " + p.String()))}
}

// nameLength is how much of a MAC names something: enough that no two people, and no two conversations, share one.
const nameLength = 16

func mac(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)[:nameLength]
}

func gcm(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil // cannot be: 32 bytes are a key
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil // cannot be: AES fits GCM
	}
	return aead
}

func (v vault) keyOf(id string) []byte { return mac(v.ids, id) }

// What a sealed text is; one kind never passes for another.
const (
	sealedItem byte = iota + 1
	sealedBody
	sealedOwner
)

// bound is what a sealed text is tied to: its kind, its place, and what stands beside it in clear.
func (v vault) bound(kind byte, key, beside []byte) []byte {
	return bytes.Join([][]byte{{kind}, v.name, key, beside}, nil)
}

func (v vault) seal(kind byte, key, beside, plain []byte) []byte {
	return v.aead.Seal(nil, nil, plain, v.bound(kind, key, beside)) //nolint:gosec // the nonce is random: NewGCMWithRandomNonce
}

func (v vault) open(kind byte, key, beside, sealed []byte) ([]byte, error) {
	plain, err := v.aead.Open(nil, nil, sealed, v.bound(kind, key, beside))
	if err != nil {
		return nil, ErrDamaged
	}
	return plain, nil
}

func (k keys) owners() cipher.AEAD { return gcm(k.derive("owners")) }

func (k keys) sealOwner(p Person, name []byte) []byte {
	return k.owners().Seal(nil, nil, []byte(p.String()), append([]byte{sealedOwner}, name...)) //nolint:gosec // as above
}

func (k keys) openOwner(name, sealed []byte) (Person, error) {
	plain, err := k.owners().Open(nil, nil, sealed, append([]byte{sealedOwner}, name...))
	if err != nil {
		return Person{}, ErrDamaged
	}
	tenant, object, _ := strings.Cut(string(plain), "/")
	var p Person
	var err1, err2 error
	p.Tenant, err1 = identity.ParseTenantID(tenant)
	p.Object, err2 = identity.ParseObjectID(object)
	if err1 != nil || err2 != nil {
		return Person{}, ErrDamaged
	}
	return p, nil
}

// reencrypt moves everything from the old keys to the new ones, in one transaction: all of it or nothing.
func reencrypt(tx *bbolt.Tx, from, to keys) error {
	people := tx.Bucket([]byte(bucketPeople))
	var names [][]byte
	if err := people.ForEachBucket(func(name []byte) error { names = append(names, bytes.Clone(name)); return nil }); err != nil {
		return err
	}
	moved := &File{keys: to}
	for _, name := range names {
		old := people.Bucket(name)
		p, err := from.openOwner(name, old.Get([]byte(keyOwner)))
		if err != nil {
			return err
		}
		mine := &person{old, from.vault(p)}
		next, err := moved.of(tx, p, true)
		if err != nil {
			return err
		}
		err = mine.items().ForEach(func(key, value []byte) error { return moveItem(mine, next, key, value) })
		if err == nil {
			err = people.DeleteBucket(name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func moveItem(from, to *person, key, value []byte) error {
	item, err := from.openItem(key, value)
	if err != nil {
		return err
	}
	body, err := from.open(sealedBody, key, nil, from.bodies().Get(key))
	if err != nil {
		return err
	}
	place := to.keyOf(item.ID)
	sealed, err := to.sealItem(place, item, len(body))
	return errors.Join(err, to.items().Put(place, sealed), to.bodies().Put(place, to.seal(sealedBody, place, nil, body)))
}
