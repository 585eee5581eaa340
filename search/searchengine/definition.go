package searchengine

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/onbehalf/onbehalf/search"
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
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, false, errClosed
	}
	x := e.indexes[d.Name]
	if err = c.check(x); err != nil {
		return nil, false, err
	}
	var slots []string
	if x != nil {
		slots = x.layout().slots
	}
	d, err = cloneDefinition(d)
	if err != nil {
		return nil, false, err
	}
	l, full, err := e.compile(d, slots)
	if err != nil {
		return nil, false, err
	}
	full.ETag = e.nextETag()
	e.warnOfMappedAnalyzers(l, full)
	if x == nil {
		if x, err = e.create(l, full); err != nil {
			return nil, false, e.notStored(err)
		}
		e.indexes[d.Name] = x
		saved, err = cloneDefinition(full)
		return saved, true, err
	}
	if err = x.redefine(l, full); err != nil {
		return nil, false, e.notStored(err)
	}
	saved, err = cloneDefinition(full)
	return saved, false, err
}

// Delete implements [search.Service].
func (e *Engine) Delete(ctx context.Context, name, ifMatch string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	x, err := e.forget(name, ifMatch)
	if err != nil {
		return err
	}
	if err := x.delete(); err != nil {
		x.logger().WarnContext(ctx, "files of a deleted index are left; the next start removes them", slogError(err))
	}
	return nil
}

// forget takes an index out of the engine, for good.
func (e *Engine) forget(name, ifMatch string) (*index, error) {
	x, err := e.findDefinition(name)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, errClosed
	}
	if e.indexes[name] != x { // deleted, or even made anew, since
		return nil, e.noDefinition(name)
	}
	if err := (Condition{IfMatch: ifMatch}).check(x); err != nil {
		return nil, err
	}
	x.committing.Lock() // so that no compaction writes the definition again
	defer x.committing.Unlock()
	if err := x.files.forget(); err != nil {
		return nil, e.notStored(err)
	}
	x.ended = true
	delete(e.indexes, name)
	return x, nil
}

// notStored is the answer to a change of a definition that failed: what the service would say, or that the disk refused.
func (e *Engine) notStored(err error) error {
	if _, ok := errorAs(err); ok {
		return err
	}
	e.config.Logger.Error("a definition could not be stored", slogError(err))
	return &search.Error{Status: http.StatusServiceUnavailable, Message: "The change could not be stored: " + cause(err) + "."}
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
