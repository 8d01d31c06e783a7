// An inline function with external linkage, which no leaf file may have.
inline int leaked(int x) {
  return x + 1;
}
int caller(int x);
int caller(int x) {
  return leaked(x);
}
