package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/signin"
)

// Book is a [signin.Ledger] in a file: which server may have tokens for what. It holds no secret.
type Book struct {
	path   string
	notice func(string)
	now    func() time.Time
}

var _ signin.Ledger = (*Book)(nil)

// maxGrants bounds how many servers are remembered; the longest known is forgotten first.
const maxGrants = 500

// OpenBook opens the ledger in the folder of a vault; Keepers are not used.
func OpenBook(cfg Config) (*Book, error) {
	v, err := Open(cfg)
	if err != nil {
		return nil, err
	}
	return &Book{filepath.Join(cfg.Dir, "servers.json"), v.cfg.Notice, v.cfg.Now}, nil
}

type bookFile struct {
	Servers []signin.Grant `json:"servers"`
}

// Grants implements [signin.Ledger]. A damaged file counts as empty: what was confirmed is asked again.
func (b *Book) Grants(context.Context) ([]signin.Grant, error) {
	book, err := b.read()
	if errors.Is(err, errDamaged) {
		return nil, nil
	}
	return book.Servers, err
}

// Grant implements [signin.Ledger].
func (b *Book) Grant(ctx context.Context, server string) (signin.Grant, bool, error) {
	grants, err := b.Grants(ctx)
	if i := indexOf(grants, server); i >= 0 {
		return grants[i], true, err
	}
	return signin.Grant{}, false, err
}

// Remember implements [signin.Ledger].
func (b *Book) Remember(ctx context.Context, grant signin.Grant) error {
	return b.update(ctx, func(grants []signin.Grant) []signin.Grant {
		if i := indexOf(grants, grant.Server); i >= 0 {
			grants[i] = grant
			return grants
		}
		return append(grants[max(0, len(grants)-maxGrants+1):], grant)
	})
}

// Revoke implements [signin.Ledger].
func (b *Book) Revoke(ctx context.Context, server string) error {
	return b.update(ctx, func(grants []signin.Grant) []signin.Grant {
		return slices.DeleteFunc(grants, func(g signin.Grant) bool { return g.Server == server })
	})
}

func (b *Book) update(ctx context.Context, change func([]signin.Grant) []signin.Grant) error {
	unlock, err := lock(ctx, b.path)
	if err != nil {
		return err
	}
	defer unlock()
	book, err := b.read()
	if errors.Is(err, errDamaged) {
		err = keepAside(b.path, b.now(), b.notice)
	}
	if err != nil {
		return err
	}
	book.Servers = change(book.Servers)
	slices.SortStableFunc(book.Servers, func(x, y signin.Grant) int { return x.Since.Compare(y.Since) })
	text, err := json.MarshalIndent(book, "", "  ")
	if err != nil {
		return fmt.Errorf("trusted servers: %w", err)
	}
	return writeFile(b.path, append(text, '\n'))
}

func (b *Book) read() (bookFile, error) {
	text, err := readFile(b.path)
	if errors.Is(err, fs.ErrNotExist) {
		return bookFile{}, nil
	}
	if err != nil {
		return bookFile{}, err
	}
	if info, err := os.Stat(b.path); err == nil && info.Mode().Perm()&0o022 != 0 {
		return bookFile{}, fmt.Errorf("trusted servers: others may write %s: run chmod 600 on it", b.path)
	}
	var book bookFile
	if json.Unmarshal(text, &book) != nil || strings.TrimSpace(string(text)) == "" {
		return bookFile{}, errDamaged
	}
	return book, nil
}

func indexOf(grants []signin.Grant, server string) int {
	return slices.IndexFunc(grants, func(g signin.Grant) bool { return g.Server == server })
}
