package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"path/filepath"
	"strings"

	"github.com/blevesearch/bleve/v2/analysis/tokenizer/unicode"
	_ "modernc.org/sqlite" // the driver
)

// sqlite keeps documents, full text and permissions in tables; what a caller may see is a subselect.
type sqlite struct {
	db         *sql.DB
	principals map[string]int64
}

// The tokenizers of FTS5 cut at every point and apostrophe, which the others do only at the boundaries of words as Unicode
// has them. So it is given the words already cut, and all that may occur within one counts as a letter.
const schema = `
CREATE TABLE docs (doc INTEGER PRIMARY KEY, id TEXT UNIQUE, category TEXT, created INTEGER, number INTEGER, source TEXT);
CREATE VIRTUAL TABLE texts USING fts5(name, content, content='', tokenize="ascii tokenchars '.'':,;_'");
CREATE TABLE acl (principal INTEGER, doc INTEGER, PRIMARY KEY (principal, doc)) WITHOUT ROWID;`

const permitted = `(SELECT doc FROM acl WHERE principal IN (SELECT value FROM json_each(?)))`

func openSQLite(dir string) (peer, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "bench.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=cache_size(-262144)")
	if err != nil {
		return nil, err
	}
	_, err = db.ExecContext(context.Background(), schema)
	return &sqlite{db: db, principals: map[string]int64{}}, err
}

func (s *sqlite) close() error { return s.db.Close() }

func (s *sqlite) load(ctx context.Context, c *corpus) error {
	n := int64(0)
	for docs := range c.batches(batchSize) {
		tx, err := s.db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		for _, d := range docs {
			n++
			if err := s.insert(ctx, tx, n, d); err != nil {
				_ = tx.Rollback()
				return err
			}
		}
		if err := tx.Commit(); err != nil {
			return err
		}
	}
	return nil
}

func (s *sqlite) insert(ctx context.Context, tx *sql.Tx, n int64, d *document) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO docs VALUES (?,?,?,?,?,?)", n, d.ID, d.Category, d.Created.Unix(), d.Number, string(d.json()))
	if err != nil {
		return err
	}
	if _, err = tx.ExecContext(ctx, "INSERT INTO texts (rowid, name, content) VALUES (?,?,?)", n, cut(d.Name), cut(d.Content)); err != nil {
		return err
	}
	for _, p := range append(append([]string{}, d.Users...), d.Groups...) {
		number, ok := s.principals[p]
		if !ok {
			number = int64(len(s.principals) + 1)
			s.principals[p] = number
		}
		if _, err = tx.ExecContext(ctx, "INSERT OR IGNORE INTO acl VALUES (?,?)", number, n); err != nil {
			return err
		}
	}
	return nil
}

func (s *sqlite) settle(ctx context.Context) error {
	_, err := s.db.ExecContext(ctx, "CREATE INDEX byNumber ON docs (number); INSERT INTO texts (texts) VALUES ('optimize'); ANALYZE")
	return err
}

// cut returns the words of a text in lower case with blanks between them.
func cut(text string) string {
	var b strings.Builder
	for _, token := range unicode.NewUnicodeTokenizer().Tokenize([]byte(text)) {
		b.Write(bytes.ToLower(token.Term))
		b.WriteByte(' ')
	}
	return b.String()
}

func (s *sqlite) ask(ctx context.Context, c *caller, q *task) (*answer, error) {
	numbers := []int64{}
	for _, p := range c.principals() {
		if n, ok := s.principals[p]; ok {
			numbers = append(numbers, n)
		}
	}
	list, err := json.Marshal(numbers)
	if err != nil {
		return nil, err
	}
	who := string(list)
	from, page := "docs WHERE doc IN "+permitted, "SELECT id, source FROM docs WHERE doc IN "+permitted+" ORDER BY id LIMIT 50"
	args := []any{who}
	switch q.kind {
	case matchAll:
	case twoTerms:
		from = "texts WHERE texts MATCH ? AND +rowid IN " + permitted // the plus keeps it from asking the full text for each of them
		page = "SELECT id, source FROM (SELECT rowid AS doc, rank FROM " + from + " ORDER BY rank LIMIT 50) JOIN docs USING (doc) ORDER BY rank"
		args = []any{"{content}: (" + strings.Join(q.words[:], " OR ") + ")", who}
	case filterFacet:
		const where = "number >= ? AND created >= ? AND created < ? AND doc IN " + permitted
		from = "docs WHERE " + where
		page = "SELECT id, source FROM docs WHERE " + where + " ORDER BY id LIMIT 50"
		args = []any{q.least, q.from.Unix(), q.to.Unix(), who}
	}
	a := &answer{}
	if q.kind == filterFacet {
		if err := s.facet(ctx, a, from, args); err != nil {
			return nil, err
		}
	} else if err := s.db.QueryRowContext(ctx, "SELECT count(*) FROM "+from, args...).Scan(&a.total); err != nil {
		return nil, err
	}
	return a, s.page(ctx, a, page, args)
}

func (s *sqlite) facet(ctx context.Context, a *answer, from string, args []any) error {
	a.facet = map[string]int{}
	rows, err := s.db.QueryContext(ctx, "SELECT category, count(*) FROM "+from+" GROUP BY category", args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var value string
		var n int
		if err := rows.Scan(&value, &n); err != nil {
			return err
		}
		a.facet[value] = n
		a.total += n
	}
	return rows.Err()
}

func (s *sqlite) page(ctx context.Context, a *answer, page string, args []any) error {
	rows, err := s.db.QueryContext(ctx, page, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id, source string
		if err := rows.Scan(&id, &source); err != nil {
			return err
		}
		a.ids = append(a.ids, id)
		a.bytes += len(source)
	}
	return rows.Err()
}
