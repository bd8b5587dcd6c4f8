"""How the schema got where it is: one revision per version of the SQL files, up and down."""
