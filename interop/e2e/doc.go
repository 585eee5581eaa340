// Package e2e runs the built programs as people do (see "make e2e").
package e2e
