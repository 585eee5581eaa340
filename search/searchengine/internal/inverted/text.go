package inverted

// Text is what one document says in one field: the distinct terms with their positions.
type Text struct {
	Length uint32 // tokens in all

	terms     []string
	positions [][]uint32
	numbers   map[string]int
	next      uint32 // position after the last token
}

// gap is left between the values of a collection, so that no phrase reaches from one to the next.
const gap = 100

// Add notes a token at a position of the current value.
func (t *Text) Add(term string, position uint32) {
	if t.numbers == nil {
		t.numbers = make(map[string]int, 64)
	}
	n, ok := t.numbers[term]
	if !ok {
		n = len(t.terms)
		t.numbers[term] = n
		t.terms = append(t.terms, term)
		t.positions = append(t.positions, nil)
	}
	t.positions[n] = append(t.positions[n], position)
	if t.Length == 0 || position >= t.next { // alternatives in one place count once
		t.Length++
	}
	t.next = max(t.next, position+1)
}

// Next returns the position at which the next value of a collection begins.
func (t *Text) Next() uint32 {
	if t.Length == 0 {
		return 0
	}
	return t.next + gap
}
