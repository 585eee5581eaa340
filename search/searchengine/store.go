package searchengine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"

	"github.com/gofrs/flock"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/doclog"
)

// The files of an engine:
//
//	lock                         held by the process that has the engine open
//	indexes/NAME.ID/index.json   the definition, and which generation of the files below counts; without it there is no index
//	indexes/NAME.ID/documents-N  the log: every write, and the documents themselves
//	indexes/NAME.ID/snapshot-N   what was built from the log up to some point; it saves time at opening, and may be missing
//
// Each but the log is written beside its place and renamed, so that it is there as a whole or not at all.

// manifest is the content of index.json.
type manifest struct {
	Definition *search.Definition `json:"definition"`
	Slots      []string           `json:"slots"`
	Generation int                `json:"generation"`
}

// files are where an index lies. The zero files are those of an index in memory: they do nothing.
type files struct {
	dir        string
	generation int
}

func (f files) inMemory() bool   { return f.dir == "" }
func (f files) manifest() string { return filepath.Join(f.dir, "index.json") }
func (f files) log() string      { return filepath.Join(f.dir, "documents-"+strconv.Itoa(f.generation)) }

func (f files) snapshot() string { return filepath.Join(f.dir, "snapshot-"+strconv.Itoa(f.generation)) }
func (f files) next() files      { return files{f.dir, f.generation + 1} }

// openLog opens the log, a new one in memory.
func (f files) openLog() (*doclog.Log, error) {
	if f.inMemory() {
		return doclog.NewMemory(), nil
	}
	return doclog.Open(f.log())
}

// save makes a definition the one that counts.
func (f files) save(m *manifest) error {
	if f.inMemory() {
		return nil
	}
	content, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return replaceFile(f.manifest(), func(w *os.File) error {
		_, err := w.Write(content)
		return err
	})
}

// replaceFile writes a file beside its place, and puts it there once it is safe on the disk.
func replaceFile(path string, write func(*os.File) error) error {
	beside := path + ".tmp"
	w, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) //nolint:gosec // the path is made of a checked name
	if err != nil {
		return err
	}
	err = write(w)
	if err == nil {
		err = w.Sync()
	}
	err = errors.Join(err, w.Close())
	if err == nil {
		err = os.Rename(beside, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(beside))
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes what happened to the names in a folder safe.
func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the path is made of a checked name
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// forget removes the definition, and with it the index: what is left the next opening removes.
func (f files) forget() error {
	if f.inMemory() {
		return nil
	}
	if err := os.Remove(f.manifest()); err != nil {
		return err
	}
	return syncDir(f.dir)
}

func (f files) removeAll() error {
	if f.inMemory() {
		return nil
	}
	return os.RemoveAll(f.dir)
}

// removeOthers removes what other generations, or a crash, left behind.
func (f files) removeOthers() error {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		path := filepath.Join(f.dir, entry.Name())
		if path != f.manifest() && path != f.log() && path != f.snapshot() {
			err = errors.Join(err, os.Remove(path))
		}
	}
	return err
}

// size returns how many bytes the index takes on the disk.
func (f files) size() int64 {
	total := int64(0)
	for _, path := range []string{f.manifest(), f.log(), f.snapshot()} {
		if info, err := os.Stat(path); err == nil {
			total += info.Size()
		}
	}
	return total
}

// lockDir keeps other processes out.
func lockDir(dir string) (*flock.Flock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("search engine: %w", err)
	}
	lock := flock.New(filepath.Join(dir, "lock"))
	held, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("search engine: %w", err)
	}
	if !held {
		return nil, fmt.Errorf("search engine: %s is in use by another process; end that first, or choose another folder", dir)
	}
	return lock, nil
}

func (e *Engine) indexesDir() string { return filepath.Join(e.config.Dir, "indexes") }

// load opens every index that lies in the folder.
func (e *Engine) load() error {
	dir := e.indexesDir()
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		x, err := e.loadIndex(files{dir: filepath.Join(dir, entry.Name())})
		if err != nil {
			return fmt.Errorf("search engine: index %s: %w", entry.Name(), err)
		}
		if x != nil {
			e.indexes[x.definition.Name] = x
		}
	}
	return nil
}

// loadIndex opens one index. It is nil where a crash left an index half made or half removed.
func (e *Engine) loadIndex(f files) (*index, error) {
	content, err := os.ReadFile(f.manifest())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, os.RemoveAll(f.dir)
	}
	if err != nil {
		return nil, err
	}
	var m manifest
	if err = json.Unmarshal(content, &m); err != nil {
		return nil, fmt.Errorf("%s: %w", f.manifest(), err)
	}
	f.generation = m.Generation
	if _, err = os.Stat(f.log()); err != nil { // it was there before the definition was
		return nil, err
	}
	if err = f.removeOthers(); err != nil {
		return nil, err
	}
	l, _, err := e.compile(m.Definition, m.Slots)
	if err != nil {
		return nil, err
	}
	e.warnOfMappedAnalyzers(l, m.Definition)
	log, err := f.openLog()
	if err != nil {
		return nil, err
	}
	x := &index{engine: e, definition: m.Definition, files: f}
	if x.state, err = x.restore(l, log); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return x, nil
}

// restore builds the state from the snapshot, if there is a good one, and the rest of the log.
func (x *index) restore(l *layout, log *doclog.Log) (*state, error) {
	info, err := os.Stat(x.files.log())
	if err != nil {
		return nil, err
	}
	s, from, err := readSnapshot(x.files.snapshot(), l, log, info.Size())
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			x.logger().Warn("the snapshot cannot be used; the index is built from its log", slogError(err))
		}
		s, from = newState(l, log), 0
	}
	x.snapshotAt = from
	if err := log.Replay(from, info.Size(), s.replay); err != nil {
		return nil, err
	}
	if cut := info.Size() - log.Size(); cut > 0 {
		x.logger().Warn("cut an unfinished write off the end of the log", slog.Int64("bytes", cut))
	}
	return s, nil
}

func (x *index) logger() *slog.Logger {
	return x.engine.config.Logger.With(slog.String("index", x.definition.Name))
}
