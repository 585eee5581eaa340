// Package entra holds what make interop runs against the local Entra: Microsoft's own libraries for Node and Python,
// programs that know no other host than Microsoft's, and a browser.
package entra
