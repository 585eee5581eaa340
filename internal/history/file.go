package history

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/onbehalf/onbehalf/identity"
)

// The file is a bbolt database:
//
//	"file"            salt; check (opens with the right key alone)
//	"people" / NAME   one bucket a person, NAME a MAC of tenant and object id
//	    "owner"       sealed: tenant and object id, for the day when the key is changed
//	    "items"       KEY → time and size of the conversation, then sealed: its id and title
//	    "bodies"      KEY → sealed: the conversation; KEY is a MAC of its id
//
// Who has the file alone learns how many people have how many conversations, how large each is and when it was changed.
const (
	bucketFile   = "file"
	bucketPeople = "people"
	bucketItems  = "items"
	bucketBodies = "bodies"
	keySalt      = "salt"
	keyCheck     = "check"
	keyOwner     = "owner"

	plainItem = 12 // bytes of an item before what is sealed: seconds (8), size (4)
)

// File is a store in an encrypted file.
type File struct {
	db   *bbolt.DB
	keys keys
}

var (
	// ErrShortKey says that a secret has too few characters.
	ErrShortKey = fmt.Errorf("history: the key has fewer than %d characters", minSecret)
	// ErrKey says that the file was written with another key.
	ErrKey = errors.New("history: the file was written with another key")
	// ErrInUse says that another process has the file open.
	ErrInUse = errors.New("history: another process has the file open")
	// ErrDamaged says that the file is none of ours, or that somebody changed it.
	ErrDamaged = errors.New("history: the file is damaged, or none of ours")
)

// Open opens or makes a file that only its owner can read. The first secret encrypts; a file that was written with
// another one of them is encrypted anew, once, before Open returns. Secrets have at least 32 characters.
func Open(path string, secrets ...identity.Secret) (*File, error) {
	if len(secrets) == 0 {
		return nil, errors.New("history: no key")
	}
	for _, secret := range secrets {
		if len(secret.Reveal()) < minSecret {
			return nil, ErrShortKey
		}
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("history: %s can be read by others: chmod 600 %s", path, path)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("history: %w", err)
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, ErrInUse
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return nil, ErrDamaged
	case err != nil:
		return nil, fmt.Errorf("history: %w", err)
	}
	f := &File{db: db}
	if err = f.unlock(secrets); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return f, nil
}

// unlock finds the secret that the file was written with, and brings it to the first one.
func (f *File) unlock(secrets []identity.Secret) error {
	return f.db.Update(func(tx *bbolt.Tx) error {
		file, err := tx.CreateBucketIfNotExists([]byte(bucketFile))
		if err != nil {
			return err
		}
		if _, err = tx.CreateBucketIfNotExists([]byte(bucketPeople)); err != nil {
			return err
		}
		salt := bytes.Clone(file.Get([]byte(keySalt)))
		if salt == nil {
			salt = make([]byte, sha256.Size)
			_, _ = rand.Read(salt) // never fails since Go 1.24
			f.keys = newKeys(secrets[0], salt)
			return errors.Join(file.Put([]byte(keySalt), salt), file.Put([]byte(keyCheck), f.keys.check()))
		}
		for i, secret := range secrets {
			k := newKeys(secret, salt)
			if !hmac.Equal(k.check(), file.Get([]byte(keyCheck))) {
				continue
			}
			f.keys = newKeys(secrets[0], salt)
			if i == 0 {
				return nil
			}
			return errors.Join(reencrypt(tx, k, f.keys), file.Put([]byte(keyCheck), f.keys.check()))
		}
		return ErrKey
	})
}

// person is a person's bucket, with the keys to it.
type person struct {
	*bbolt.Bucket
	vault
}

// of opens a person's bucket; nil where there is none and make is false.
func (f *File) of(tx *bbolt.Tx, p Person, create bool) (*person, error) {
	v := f.keys.vault(p)
	people := tx.Bucket([]byte(bucketPeople))
	bucket := people.Bucket(v.name)
	if bucket != nil || !create {
		if bucket == nil {
			return nil, nil
		}
		return &person{bucket, v}, nil
	}
	bucket, err := people.CreateBucket(v.name)
	if err != nil {
		return nil, err
	}
	_, err1 := bucket.CreateBucket([]byte(bucketItems))
	_, err2 := bucket.CreateBucket([]byte(bucketBodies))
	err3 := bucket.Put([]byte(keyOwner), f.keys.sealOwner(p, v.name))
	return &person{bucket, v}, errors.Join(err1, err2, err3)
}

func (p *person) items() *bbolt.Bucket  { return p.Bucket.Bucket([]byte(bucketItems)) }
func (p *person) bodies() *bbolt.Bucket { return p.Bucket.Bucket([]byte(bucketBodies)) }

// List implements [Store].
func (f *File) List(p Person) ([]Item, error) {
	items := []Item{}
	err := f.db.View(func(tx *bbolt.Tx) error {
		mine, err := f.of(tx, p, false)
		if mine == nil || err != nil {
			return err
		}
		return mine.items().ForEach(func(key, value []byte) error {
			item, err := mine.openItem(key, value)
			items = append(items, item)
			return err
		})
	})
	newestFirst(items)
	return items, err
}

// Load implements [Store].
func (f *File) Load(p Person, id string) (Item, []byte, error) {
	var item Item
	var body []byte
	err := f.db.View(func(tx *bbolt.Tx) error {
		mine, err := f.of(tx, p, false)
		if err != nil {
			return err
		}
		if mine == nil {
			return ErrNone
		}
		key := mine.keyOf(id)
		value := mine.items().Get(key)
		if value == nil {
			return ErrNone
		}
		if item, err = mine.openItem(key, value); err != nil {
			return err
		}
		body, err = mine.open(sealedBody, key, nil, mine.bodies().Get(key))
		return err
	})
	return item, body, err
}

// Save implements [Store].
func (f *File) Save(p Person, item Item, body []byte) error {
	if err := check(p, item, body); err != nil {
		return err
	}
	return f.db.Batch(func(tx *bbolt.Tx) error {
		mine, err := f.of(tx, p, true)
		if err != nil {
			return err
		}
		key := mine.keyOf(item.ID)
		count, total := 1, len(body)
		err = mine.items().ForEach(func(other, value []byte) error {
			if len(value) >= plainItem && !bytes.Equal(key, other) {
				count++
				total += int(binary.BigEndian.Uint32(value[8:]))
			}
			return nil
		})
		if err != nil {
			return err
		}
		if count > MaxItems || total > MaxBytes {
			return ErrFull
		}
		value, err := mine.sealItem(key, item, len(body))
		if err != nil {
			return err
		}
		return errors.Join(mine.items().Put(key, value), mine.bodies().Put(key, mine.seal(sealedBody, key, nil, body)))
	})
}

// Delete implements [Store].
func (f *File) Delete(p Person, id string) error {
	return f.db.Batch(func(tx *bbolt.Tx) error {
		mine, err := f.of(tx, p, false)
		if mine == nil || err != nil {
			return err
		}
		key := mine.keyOf(id)
		return errors.Join(mine.items().Delete(key), mine.bodies().Delete(key))
	})
}

// Clear implements [Store].
func (f *File) Clear(p Person) (int, error) {
	n := 0
	err := f.db.Update(func(tx *bbolt.Tx) error {
		mine, err := f.of(tx, p, false)
		if mine == nil || err != nil {
			return err
		}
		n = mine.items().Stats().KeyN
		return tx.Bucket([]byte(bucketPeople)).DeleteBucket(mine.name)
	})
	return n, err
}

// Sweep implements [Store].
func (f *File) Sweep(before time.Time) (int, error) {
	n := 0
	err := f.db.Update(func(tx *bbolt.Tx) error {
		people := tx.Bucket([]byte(bucketPeople))
		var empty [][]byte
		failed := people.ForEachBucket(func(name []byte) error {
			mine := &person{Bucket: people.Bucket(name)}
			old, left, err := mine.olderThan(before)
			for _, key := range old {
				err = errors.Join(err, mine.items().Delete(key), mine.bodies().Delete(key))
			}
			n += len(old)
			if left == 0 {
				empty = append(empty, bytes.Clone(name))
			}
			return err
		})
		for _, name := range empty {
			failed = errors.Join(failed, people.DeleteBucket(name))
		}
		return failed
	})
	return n, err
}

// olderThan returns the keys of what was changed last before a time, and how many others there are.
func (p *person) olderThan(before time.Time) (old [][]byte, left int, err error) {
	err = p.items().ForEach(func(key, value []byte) error {
		if len(value) >= plainItem && time.Unix(int64(binary.BigEndian.Uint64(value)), 0).Before(before) { //nolint:gosec // ours
			old = append(old, bytes.Clone(key))
		} else {
			left++
		}
		return nil
	})
	return old, left, err
}

// Close implements [Store].
func (f *File) Close() error { return f.db.Close() }

func (v vault) sealItem(key []byte, item Item, size int) ([]byte, error) {
	text, err := json.Marshal(item)
	if err != nil {
		return nil, err
	}
	plain := binary.BigEndian.AppendUint64(nil, uint64(max(item.Updated.Unix(), 0)))
	plain = binary.BigEndian.AppendUint32(plain, uint32(size)) //nolint:gosec // at most MaxBody
	return append(plain, v.seal(sealedItem, key, plain, text)...), nil
}

func (v vault) openItem(key, value []byte) (Item, error) {
	var item Item
	if len(value) < plainItem {
		return item, ErrDamaged
	}
	text, err := v.open(sealedItem, key, value[:plainItem], value[plainItem:])
	if err == nil && json.Unmarshal(text, &item) != nil {
		err = ErrDamaged
	}
	item.Updated = time.Unix(int64(binary.BigEndian.Uint64(value)), 0) //nolint:gosec // ours, and sealed
	return item, err
}
