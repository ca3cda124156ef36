SELECT * FROM customers
SELECT id, name FROM customers ORDER BY name DESC
SELECT DISTINCT status FROM orders
SELECT count(*) FROM orders
SELECT count(DISTINCT customer_id) AS buyers FROM orders
SELECT status, count(*) AS n, sum(amount) AS total FROM orders GROUP BY status ORDER BY total DESC
SELECT status, avg(amount) AS mean FROM orders GROUP BY status HAVING count(*) > 1
SELECT c.name, sum(o.amount) AS total FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY c.name ORDER BY total DESC LIMIT 5
SELECT c.name, o.id FROM customers AS c LEFT JOIN orders AS o ON o.customer_id = c.id AND o.status = 'paid'
SELECT name FROM customers WHERE id IN (SELECT customer_id FROM orders WHERE amount > 10)
SELECT name FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id)
SELECT name FROM customers WHERE name LIKE 'Z%' OR name LIKE '%''%'
SELECT name FROM customers WHERE country IS NULL OR vip IS NOT NULL
SELECT id, CASE WHEN amount > 50 THEN 'large' WHEN amount > 1 THEN 'small' ELSE 'tiny' END AS size FROM orders
SELECT id FROM orders WHERE amount BETWEEN 1 AND 50 AND NOT status = 'void'
SELECT id FROM orders UNION SELECT order_id FROM items
SELECT id FROM orders UNION ALL SELECT order_id FROM items ORDER BY 1
SELECT id FROM orders EXCEPT SELECT order_id FROM items
SELECT id FROM orders INTERSECT SELECT order_id FROM items
WITH paid AS (SELECT * FROM orders WHERE status = 'paid') SELECT count(*) FROM paid
WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS y FROM a) SELECT * FROM a, b
WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 10) SELECT sum(x) FROM c
SELECT id, row_number() OVER (PARTITION BY customer_id ORDER BY amount DESC) AS place FROM orders
SELECT id, sum(amount) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS running FROM orders
SELECT id, amount - lag(amount) OVER (ORDER BY id) AS step FROM orders
SELECT id, rank() OVER w AS r FROM orders WINDOW w AS (ORDER BY amount)
SELECT coalesce(note, 'none') AS note, nullif(status, 'open') AS s FROM orders
SELECT upper(name), lower(name), length(name), trim(name) FROM customers
SELECT round(avg(amount), 2) AS mean, min(amount), max(amount) FROM orders
SELECT product, sum(qty * price) AS revenue FROM items GROUP BY product
SELECT * FROM (SELECT status, count(*) AS n FROM orders GROUP BY status) t WHERE n > 1
SELECT a.id, b.id FROM orders a CROSS JOIN orders b WHERE a.id < b.id
SELECT 'DROP TABLE orders; -- not really' AS joke, 'INSERT INTO x' AS other
SELECT id AS "update", status AS "delete" FROM orders
SELECT /* the paid ones */ id FROM orders -- and nothing else
SELECT strftime('%Y-%m', placed) AS month, sum(amount) FROM orders GROUP BY 1
SELECT date(placed, 'start of month') AS m, count(*) FROM orders GROUP BY m
SELECT julianday('now') - julianday(created) AS days FROM customers
SELECT group_concat(name, '; ') FROM customers
SELECT name || ' (' || country || ')' FROM customers
SELECT total(amount), typeof(amount) FROM orders
SELECT json_extract('{"a": 1}', '$.a'), json_array_length('[1,2]')
SELECT value FROM json_each('[1, 2, 3]')
SELECT printf('%.2f', amount) FROM orders
SELECT iif(vip, 'yes', 'no') FROM customers
SELECT name FROM customers WHERE name GLOB 'Z*'
SELECT name FROM sqlite_master WHERE type = 'table'
PRAGMA table_info(orders)
SELECT * FROM pragma_table_info('orders')
EXPLAIN QUERY PLAN SELECT * FROM orders WHERE id = 1
SELECT count(*) FILTER (WHERE status = 'paid') FROM orders
SELECT CAST(amount AS INTEGER) FROM orders
SELECT substr(name, 1, 3), instr(name, 'o'), replace(name, 'o', '0') FROM customers
VALUES (1, 'a'), (2, 'b')
SELECT [name] FROM customers
