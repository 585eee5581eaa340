package inverted

// dictionary keeps the terms of a field.
type dictionary struct {
	all []string // in order of arrival
}

func (d *dictionary) add(term string) { d.all = append(d.all, term) }
