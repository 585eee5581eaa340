// Package elevation holds the user that sees every document. It is internal, so that package elevated alone can hand
// one out and package searchclient alone can recognize it.
package elevation

// User asks for an elevated read.
type User struct{}

// SeesAs implements search.User.
func (User) SeesAs() string { return "elevated" }
