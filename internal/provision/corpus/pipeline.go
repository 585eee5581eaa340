package corpus

import (
	"iter"
	"sync"
)

// checked is a document with what the checker says of it.
type checked struct {
	Entry
	found   finding
	problem *InputError
}

// chunk is a part of an input on its way from the reader by the checker to the surveyor.
type chunk struct {
	documents []checked
	text      []byte // of all documents
	end       error  // of the input, where it ends by one
}

// add copies a document: that of the source is good until the next one.
func (c *chunk) add(entry Entry, problem *InputError) {
	if len(c.text)+len(entry.Document) > cap(c.text) { // what is there stays where it is
		c.text = make([]byte, 0, max(chunkBytes, len(entry.Document)))
	}
	from := len(c.text)
	c.text = append(c.text, entry.Document...)
	entry.Document = c.text[from:len(c.text):len(c.text)]
	c.documents = append(c.documents, checked{Entry: entry, problem: problem})
}

// Bounds of a chunk.
const (
	chunkDocuments = 256
	chunkBytes     = 1 << 20 // of memory at once
)

// checkAll reads, checks and hands over, each in a goroutine of its own: it is the part of an upload that the service waits
// for. All of them have ended when the iteration has.
func checkAll(source Source, checker *Checker) iter.Seq2[*checked, error] {
	return func(yield func(*checked, error) bool) {
		read, done, quit := make(chan *chunk, 2), make(chan *chunk, 2), make(chan struct{})
		var running sync.WaitGroup
		running.Go(func() { defer close(read); readChunks(source, read, quit) })
		running.Go(func() { defer close(done); checkChunks(source, checker, read, done, quit) })
		defer running.Wait()
		defer close(quit)
		for c := range done {
			for i := range c.documents {
				if !yield(&c.documents[i], nil) {
					return
				}
			}
			if c.end != nil {
				yield(nil, c.end)
				return
			}
		}
	}
}

// send hands a chunk on, unless nobody wants it any more.
func send(c *chunk, to chan<- *chunk, quit <-chan struct{}) bool {
	select {
	case to <- c:
		return true
	case <-quit:
		return false
	}
}

func readChunks(source Source, read chan<- *chunk, quit <-chan struct{}) {
	c := &chunk{}
	for entry, err := range source.Entries() {
		problem, ok := err.(*InputError) //nolint:errorlint // sources return it unwrapped
		if err != nil && !ok {
			c.end = err
			break
		}
		if c.add(entry, problem); len(c.documents) == chunkDocuments {
			if !send(c, read, quit) {
				return
			}
			c = &chunk{documents: make([]checked, 0, chunkDocuments), text: c.text[len(c.text):]} // the rest of its memory
		}
	}
	send(c, read, quit)
}

func checkChunks(source Source, checker *Checker, read <-chan *chunk, done chan<- *chunk, quit <-chan struct{}) {
	for c := range read {
		for i := range c.documents {
			d := &c.documents[i]
			if d.problem != nil {
				continue
			}
			found, problem := checker.check(d.Document)
			if problem != nil {
				problem.Origin = source.Origin(d.Position)
				d.problem = problem
				continue
			}
			d.found = *found
		}
		if !send(c, done, quit) {
			return
		}
	}
}
