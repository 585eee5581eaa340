package searchengine

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/odata"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/schema"
)

// commit is a group of batches on the way into the log: what their actions come to, one after the other.
type commit struct {
	state    *state
	staged   map[string]*document // by key, what this commit has put so far; nil for deleted
	ops      []op
	payloads [][]byte        // a record for each batch that changes anything
	scopes   map[string]bool // role scopes that documents name, once they were asked for
}

// stage works out what a batch changes, and the status of each action.
func (c *commit) stage(p *pending) {
	record, n := []byte(nil), len(c.ops)
	for i := range p.actions {
		a := &p.actions[i]
		if p.layout != c.state.layout && a.kind != search.Delete {
			c.prepareAgain(a)
		}
		p.statuses[i] = c.act(a)
		if len(c.ops) > n {
			if record == nil {
				record = make([]byte, 0, p.recordSize())
			}
			record = c.ops[n].appendTo(record, len(c.payloads))
			n = len(c.ops)
		}
	}
	if record != nil {
		c.payloads = append(c.payloads, record)
	}
}

// recordSize is about as large as the record of the batch will be.
func (p *pending) recordSize() int {
	const lengths = 8
	size := 0
	for i := range p.actions {
		size += len(p.actions[i].key) + lengths
		if doc := p.actions[i].doc; doc != nil {
			size += len(doc.stored)
		}
	}
	return size
}

// prepareAgain is for a batch that was prepared just before the definition changed. Definitions only grow, so what was
// right stays right.
func (c *commit) prepareAgain(a *prepared) {
	doc, err := c.state.read(a.key, a.members)
	a.doc, a.refusal = doc, err
}

// appendTo encodes the change at the end of a record, and notes where its document lies.
func (o *op) appendTo(record []byte, number int) []byte {
	o.record = number
	if o.doc == nil {
		return appendDelete(record, o.key)
	}
	record, o.at = appendPut(record, o.key, o.doc.stored)
	return record
}

func (c *commit) exists(key string) bool {
	if doc, ok := c.staged[key]; ok {
		return doc != nil
	}
	_, ok := c.state.find(key)
	return ok
}

// act works out one action. What it changes is staged.
func (c *commit) act(a *prepared) search.Status {
	status := search.Status{Key: a.key, OK: true, Code: http.StatusOK}
	exists := c.exists(a.key)
	switch {
	case a.kind == search.Delete:
		if exists {
			c.change(a.key, nil)
		}
		return status
	case a.refusal != nil:
		return search.Status{Key: a.key, Code: http.StatusBadRequest, Message: a.refusal.Error()}
	case a.kind == search.Merge && !exists:
		return search.Status{Key: a.key, Code: http.StatusNotFound, Message: "Document not found."}
	case a.kind != search.Upload && exists:
		merged, err := c.merge(a)
		if err == nil {
			err = c.checkScope(merged)
		}
		if err != nil {
			return failedStatus(a.key, err)
		}
		c.change(a.key, merged)
		return status
	}
	if err := c.checkScope(a.doc); err != nil {
		return failedStatus(a.key, err)
	}
	if !exists {
		status.Code = http.StatusCreated
	}
	c.change(a.key, a.doc)
	return status
}

// maxScopes is how many role scopes the documents of an index may name between them.
//
// https://learn.microsoft.com/azure/search/search-index-access-control-lists-and-rbac-push-api
const maxScopes = 5

// checkScope refuses a document that names one role scope too many.
func (c *commit) checkScope(doc *document) error {
	field := c.state.schema.Scope
	if field == nil {
		return nil
	}
	value := doc.values[slices.Index(c.state.schema.Fields, field)]
	if !value.Set {
		return nil
	}
	if c.scopes == nil {
		c.scopes = map[string]bool{}
		column := c.state.table.Strings[field.Path]
		for n, rows := range column.Rows {
			if slices.ContainsFunc(rows, c.state.live.Has) {
				c.scopes[column.Values[n]] = true
			}
		}
	}
	if !c.scopes[value.String] && len(c.scopes) >= maxScopes {
		return refused("Field '%s' would hold more than %d different values in the index.", field.Path, maxScopes)
	}
	c.scopes[value.String] = true
	return nil
}

func failedStatus(key string, err error) search.Status {
	if alone, ok := errors.AsType[*refusedError](err); ok {
		return search.Status{Key: key, Code: http.StatusBadRequest, Message: alone.Error()}
	}
	return search.Status{Key: key, Code: http.StatusServiceUnavailable, Message: "The stored document could not be read."}
}

func (c *commit) change(key string, doc *document) {
	c.staged[key] = doc
	c.ops = append(c.ops, op{key: key, doc: doc})
}

// merge puts the given fields over those of the document that is there. Collections are replaced as a whole, complex
// values member by member.
func (c *commit) merge(a *prepared) (*document, error) {
	var r record
	var err error
	if doc := c.staged[a.key]; doc != nil {
		r.parts, err = decodeStored(doc.stored, nil)
	} else {
		doc, _ := c.state.find(a.key)
		err = c.state.stored(doc, &r)
	}
	if err != nil {
		return nil, err
	}
	members := map[string]json.RawMessage{}
	for i, part := range r.parts {
		members[c.state.slots[i]] = part
	}
	if err := mergeMembers(c.state.schema.Fields, members, a.members); err != nil {
		return nil, err
	}
	return c.state.read(a.key, members)
}

func mergeMembers(fields []*schema.Field, into, given map[string]json.RawMessage) error {
	for _, f := range fields {
		value, ok := given[f.Name]
		if !ok {
			continue
		}
		old := into[f.Name]
		if f.Type != odata.ComplexType || f.Collection || isNull(old) || isNull(value) {
			into[f.Name] = value
			continue
		}
		var oldMembers, members map[string]json.RawMessage
		if err := errors.Join(json.Unmarshal(old, &oldMembers), json.Unmarshal(value, &members)); err != nil {
			return err
		}
		if err := mergeMembers(f.Fields, oldMembers, members); err != nil {
			return err
		}
		merged, err := json.Marshal(oldMembers)
		if err != nil {
			return err
		}
		into[f.Name] = merged
	}
	return nil
}

func slogError(err error) slog.Attr { return slog.String("error", err.Error()) }

// cause is the innermost error, which names no path.
func cause(err error) string {
	for {
		if several, ok := err.(interface{ Unwrap() []error }); ok {
			err = several.Unwrap()[0]
			continue
		}
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}
