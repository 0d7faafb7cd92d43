amount > 20
