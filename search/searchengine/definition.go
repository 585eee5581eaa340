package searchengine

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/schema"
)

// Condition is what must hold for an index to be changed, as the headers of that name say it. ETags may be weak or
// strong, quoted or not.
type Condition struct {
	IfMatch     string // an ETag; "*": the index must exist; "": no condition
	IfNoneMatch string // "*": the index must not exist; an ETag that it must not have; "": no condition
}

// Put implements [search.Service].
func (e *Engine) Put(ctx context.Context, d *search.Definition, ifMatch string) (*search.Definition, error) {
	saved, _, err := e.Save(ctx, d, Condition{IfMatch: ifMatch})
	return saved, err
}

// Create makes an index that must not exist: otherwise the error matches [search.ErrConflict].
func (e *Engine) Create(ctx context.Context, d *search.Definition) (*search.Definition, error) {
	saved, _, err := e.Save(ctx, d, Condition{IfNoneMatch: "*"})
	if failed, ok := errorAs(err); ok && failed.Status == http.StatusPreconditionFailed {
		message := fmt.Sprintf("Cannot create index '%s' because it already exists.", d.Name)
		return nil, &search.Error{
			Status: http.StatusConflict, Code: "ResourceNameAlreadyInUse", Message: message,
			Details: []search.ErrorDetail{{Code: "CannotCreateExistingIndex", Message: message}},
		}
	}
	return saved, err
}

// Save is Put with every condition, and tells whether the index is new.
func (e *Engine) Save(ctx context.Context, d *search.Definition, c Condition) (saved *search.Definition, created bool, err error) {
	if err = ctx.Err(); err != nil {
		return nil, false, err
	}
	compiled, full, err := schema.Compile(d, e.names())
	if err != nil {
		return nil, false, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, false, errClosed
	}
	x := e.indexes[d.Name]
	if err = c.check(x); err != nil {
		return nil, false, err
	}
	full.ETag = e.nextETag()
	if x == nil {
		x = e.create(compiled, full)
		e.indexes[d.Name] = x
		return x.currentDefinition(), true, nil
	}
	if err = x.redefine(compiled, full); err != nil {
		return nil, false, err
	}
	return x.currentDefinition(), false, nil
}

// Delete implements [search.Service].
func (e *Engine) Delete(ctx context.Context, name, ifMatch string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := e.findDefinition(name); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	x := e.indexes[name]
	if err := (Condition{IfMatch: ifMatch}).check(x); err != nil {
		return err
	}
	if x == nil { // gone since
		return nil
	}
	if err := x.drop(); err != nil {
		return err
	}
	delete(e.indexes, name)
	return nil
}

func (c Condition) check(x *index) error {
	has := ""
	if x != nil {
		has = strongTag(x.currentDefinition().ETag)
	}
	switch {
	case c.IfMatch == "*" && x == nil,
		c.IfMatch != "" && c.IfMatch != "*" && strongTag(c.IfMatch) != has,
		c.IfNoneMatch == "*" && x != nil,
		c.IfNoneMatch != "" && c.IfNoneMatch != "*" && x != nil && strongTag(c.IfNoneMatch) == has:
		return preconditionFailed()
	}
	return nil
}

func strongTag(tag string) string {
	return strings.Trim(strings.TrimPrefix(strings.TrimSpace(tag), "W/"), `"`)
}

// nextETag returns a tag like those of the service: the time in ticks, never the same twice. mu must be held.
func (e *Engine) nextETag() string {
	now := e.config.Now()
	e.etag = max(e.etag+1, (now.Unix()+unixSeconds)*ticksPerSecond+int64(now.Nanosecond()/100))
	return fmt.Sprintf("\"0x%X\"", e.etag)
}
