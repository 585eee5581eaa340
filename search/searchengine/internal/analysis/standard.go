package analysis

import (
	"unicode/utf8"

	"github.com/blevesearch/segment"
)

// maxTokenLength is the service's default for the length of a token in characters. Longer ones are split.
const maxTokenLength = 255

// standard cuts at the word boundaries of Unicode and leaves out what holds neither a letter nor a digit.
//
// https://unicode.org/reports/tr29/#Word_Boundaries
func standard(maxLength int) tokenizer {
	return func(tokens []Token, text string) []Token {
		c := cutter{tokens: tokens, text: text, max: maxLength}
		// A blank is a boundary whatever stands beside it, so the runs between blanks can be cut one by one.
		for start := 0; start < len(text); {
			end, ascii := start, true
			for ; end < len(text) && !isBlank(text[end]); end++ {
				ascii = ascii && text[end] < utf8.RuneSelf
			}
			if ascii {
				c.cutASCII(start, end)
			} else {
				c.cutUnicode(start, end)
			}
			start = end + 1
		}
		return c.tokens
	}
}

func isBlank(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

type cutter struct {
	tokens   []Token
	text     string
	position int
	max      int
}

func (c *cutter) add(start, end int) {
	for end-start > c.max {
		split := start
		for n := 0; n < c.max && split < end; n++ { // a count of the whole rest each time would take quadratic time
			_, size := utf8.DecodeRuneInString(c.text[split:end])
			split += size
		}
		if split == end {
			break
		}
		c.tokens = append(c.tokens, Token{Term: c.text[start:split], Start: start, End: split, Position: c.position})
		c.position++
		start = split
	}
	c.tokens = append(c.tokens, Token{Term: c.text[start:end], Start: start, End: end, Position: c.position})
	c.position++
}

func (c *cutter) cutUnicode(start, end int) {
	words := segment.NewWordSegmenterDirect([]byte(c.text[start:end]))
	for words.Segment() {
		size := len(words.Bytes())
		if words.Type() != segment.None {
			c.add(start, start+size)
		}
		start += size
	}
}

// wordClass is what the rules of word boundaries make of an ASCII character.
type wordClass uint8

const (
	otherClass wordClass = iota
	letterClass
	digitClass
	underscoreClass // joins with all that a word consists of
	colonClass      // joins letters
	dotClass        // joins letters, and digits: . and '
	commaClass      // joins digits: , and ;
)

func classOf(b byte) wordClass {
	switch {
	case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z':
		return letterClass
	case b >= '0' && b <= '9':
		return digitClass
	}
	switch b {
	case '_':
		return underscoreClass
	case ':':
		return colonClass
	case '.', '\'':
		return dotClass
	case ',', ';':
		return commaClass
	}
	return otherClass
}

// cutASCII does for a run of ASCII what cutUnicode does, many times faster.
func (c *cutter) cutASCII(start, end int) {
	for i := start; i < end; i++ {
		class := classOf(c.text[i])
		if class == otherClass || class > underscoreClass {
			continue
		}
		first, word := i, class != underscoreClass
		for i++; i < end; i++ {
			next := classOf(c.text[i])
			if next == otherClass || next > underscoreClass {
				if i+1 == end || !joins(class, next, classOf(c.text[i+1])) {
					break
				}
				i++
				next = class
			}
			class = next
			word = word || class != underscoreClass
		}
		if word {
			c.add(first, i)
		}
	}
}

// joins reports whether no word ends around the character in the middle.
func joins(before, middle, after wordClass) bool {
	if before != after {
		return false
	}
	switch middle {
	case dotClass:
		return before == letterClass || before == digitClass
	case colonClass:
		return before == letterClass
	case commaClass:
		return before == digitClass
	default:
		return false
	}
}
