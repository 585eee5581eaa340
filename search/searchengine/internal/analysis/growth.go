package analysis

import "strings"

// growth is how much more than the text parts may make of it: tokens, and bytes of all terms, per byte of the text. Parts
// that make grams do; what others add is small.
type growth struct{ tokens, bytes int }

// maxGrowth is as good as no bound: it keeps the products of a chain within an int.
const maxGrowth = 1 << 40

// then is the growth of a part behind others.
func (g growth) then(next growth) growth {
	return growth{min(g.bytes*next.tokens, maxGrowth), min(g.bytes*next.bytes, maxGrowth)}
}

// gramGrowth is that of runs of least to most characters, at each place of a term or (edge) at one end.
func gramGrowth(least, most int, edge bool) growth {
	if edge {
		return growth{1, most}
	}
	return growth{most - least + 1, (most - least + 1) * most}
}

// growth is that of a part of a definition.
func (p *part) growth() growth {
	kind := p.kind()
	if !strings.Contains(kind, "NGram") {
		return growth{1, 1}
	}
	least, most, err := p.gramSizes()
	if err != nil {
		return growth{1, 1} // it is refused anyway
	}
	return gramGrowth(least, most, strings.HasPrefix(kind, "Edge"))
}

// growthOf is that of a chain of parts by their names.
func (s *Set) growthOf(tokenizer string, tokenFilters []string) growth {
	total, ok := s.parts.growth["tokenizer "+tokenizer]
	if !ok {
		total = growth{1, 1}
		switch tokenizer {
		case "edgeNGram", "nGram":
			total = gramGrowth(1, 2, tokenizer == "edgeNGram")
		}
	}
	for _, name := range tokenFilters {
		next, ok := s.parts.growth["filter "+name]
		switch {
		case ok:
		case name == "nGram_v2" || name == "edgeNGram_v2":
			next = gramGrowth(1, 2, name == "edgeNGram_v2")
		default:
			continue
		}
		total = total.then(next)
	}
	return total
}

// Grams is up to how many tokens the parts that make several of one may make of a text, 0 without such parts. Grams of up
// to 300 characters are some 300 tokens a byte: who analyzes what others send should bound them first.
func (a *Analyzer) Grams(text string) int {
	if a.growth.tokens <= 1 {
		return 0
	}
	return len(text) * a.growth.tokens
}
