// Package onbehalf lets the tools of an AI agent act as the signed-in person, and says exactly why when they may not.
package onbehalf
