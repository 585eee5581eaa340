// Package web runs the web agent in a real browser (see "make e2e"): the built program as processes of their own, the real
// pages of the local Entra, Chromium from Debian's packages, axe-core from npm.
//
// "go test -tags=e2e -run=TestPictures ./interop/web -pictures" draws the pictures of docs/images anew.
package web
