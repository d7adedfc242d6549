// Package e2e has the tests that use Samsa as its users do, through the API of the module root: what it promises while
// all is well, when disks fill or fail, and when processes die. A test that has to look inside a package lies in it.
package e2e
